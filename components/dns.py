"""DNS records that lead the hostname to the ingress controller, in a zone on DigitalOcean."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_digitalocean as digitalocean

TTL_SECONDS = 300
"""How long others may remember an address that has changed."""


def dns_records(
    hostname: str, zone: str, addresses: Sequence[str], opts: pulumi.ResourceOptions
) -> list[pulumi.Resource]:
    """Create a record for each address; the zone is a domain of the account, not this program's."""
    return [
        digitalocean.DnsRecord(
            f"dns-{address.replace(':', '-')}",
            domain=zone,
            name=hostname.removesuffix(zone).rstrip(".") or "@",
            type="AAAA" if ":" in address else "A",
            value=address,
            ttl=TTL_SECONDS,
            opts=opts,
        )
        for address in addresses
    ]
