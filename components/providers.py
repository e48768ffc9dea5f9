"""The one place that makes providers; components inherit them."""

from __future__ import annotations

import pulumi
import pulumi_digitalocean as digitalocean
import pulumi_kubernetes as kubernetes

from settings.credentials import Access


def cluster_provider(access: Access, record: pulumi.Output[pulumi.Resource]) -> kubernetes.Provider:
    """Make the provider of everything in the cluster.

    Secrets and ConfigMaps are updated in place; those that must not be are marked immutable.

    Args:
        access: The cluster's kubeconfig and context, if not the current ones.
        record: The record of where the images are, without which nothing is changed.
    """
    return kubernetes.Provider(
        "cluster",
        kubeconfig=pulumi.Output.secret(access.kubeconfig) if access.kubeconfig else None,
        context=access.context,
        enable_secret_mutable=True,
        enable_config_map_mutable=True,
        opts=pulumi.ResourceOptions(depends_on=record),
    )


def spaces_provider(
    access: Access, record: pulumi.Output[pulumi.Resource]
) -> digitalocean.Provider:
    """Make a provider that can create Spaces from a token alone.

    Creating a Space takes a Spaces key with full access. If the user has none, a bootstrap key is
    made with the token; it stays in the state, encrypted, for later runs.

    Args:
        access: The token, and the user's own Spaces key, if any.
        record: The record of where the images are, without which nothing is changed.
    """
    after = pulumi.ResourceOptions(depends_on=record)
    token = pulumi.Output.secret(access.token) if access.token else None
    if access.has_spaces_key:
        secret = access.spaces_secret_key
        return digitalocean.Provider(
            "spaces",
            token=token,
            spaces_endpoint=access.spaces_endpoint,
            spaces_access_id=access.spaces_access_id,
            spaces_secret_key=pulumi.Output.secret(secret) if secret else None,
            opts=after,
        )
    account = digitalocean.Provider("account", token=token, opts=after)
    bootstrap = digitalocean.SpacesKey(
        "bootstrap-key",
        name=f"{pulumi.get_project()}-{pulumi.get_stack()}-bootstrap",
        grants=[{"bucket": "", "permission": "fullaccess"}],
        opts=pulumi.ResourceOptions(provider=account, replace_on_changes=["grants"]),
    )
    return digitalocean.Provider(
        "spaces",
        token=token,
        spaces_endpoint=access.spaces_endpoint,
        spaces_access_id=bootstrap.access_key,
        spaces_secret_key=bootstrap.secret_key,
    )
