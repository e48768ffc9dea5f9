"""Tags that stay what they are: what the auth proxy does about a push or a delete of one.

A push of a tag that exists becomes a push of the digest that the tag has. So the registry itself
compares: the same manifest is accepted, as a repeated push must be, and any other is not what the
digest says.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from components.caddy import matches, refuse, when
from components.registry.oci_routes import Operation
from components.registry.side_servers import (
    MANIFEST_TYPES,
    MANIFESTS_ADDRESS,
    to_registry,
    use,
)
from components.registry.user_rules import REPOSITORY, glob
from settings.immutable import ImmutableRule
from settings.names import SMOKE_TEST_USER

_REFERENCE = "{http.regexp.route.reference}"
_RULE = "{http.vars.immutable}"

REFERRERS_TAG = r"(?:sha256|sha384|sha512)-[0-9a-f]{64,}(?:\..+)?"
"""A regular expression of the tags by which clients list what refers to an image, such as
signatures; each of these changes it:
https://github.com/opencontainers/distribution-spec/blob/main/spec.md#referrers-tag-schema
and, with a suffix, https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md"""

_MESSAGE = f"immutable.{_RULE} lets this tag neither change nor go"


def keep_tags(
    operation: Operation, rules: Mapping[str, ImmutableRule], admin: str
) -> list[dict[str, Any]]:
    """Return the handlers that let no tag of a rule change or go.

    Args:
        operation: What the client asks for.
        rules: The rules by name.
        admin: The admin's name.
    """
    if operation.kind != "manifests" or operation.right != "push" or not rules:
        return []
    delete = "DELETE" in operation.methods
    noted = [
        when(_of_repositories(rule, admin), *_note(name, rule, digests=delete))
        for name, rule in rules.items()
    ]
    then = refuse(403, "DENIED", _MESSAGE)["handle"] if delete else _ask_for_tag()
    return [*noted, when(matches("immutable", ".+"), *then)]


def refuse_another(rules: Mapping[str, ImmutableRule]) -> dict[str, Any]:
    """Return the fields of the handler that passes manifests on: what it does with the response."""
    if not rules:
        return {}
    other = {"match": [{"vars": {"exists": ["yes"]}}], **refuse(403, "DENIED", _MESSAGE)}
    passed_on = {"handle": [{"handler": "copy_response"}]}
    return {
        "handle_response": [{"match": {"status_code": [400]}, "routes": [other, passed_on]}],
    }


def _of_repositories(rule: ImmutableRule, admin: str) -> dict[str, Any]:
    # The smoke test pushes one tag again and again, to a repository of its own.
    exempt = [SMOKE_TEST_USER, *([admin] if rule.except_admin else [])]
    return {
        **matches(REPOSITORY, "|".join(map(glob, rule.repositories))),
        "not": [{"vars": {"{http.auth.user.id}": exempt}}],
    }


def _note(name: str, rule: ImmutableRule, *, digests: bool) -> list[dict[str, Any]]:
    """Return the handlers that note a rule of the request's tag.

    Args:
        name: The rule's name.
        rule: The rule.
        digests: Whether also for a digest: the delete of a manifest takes all its tags with it, and
            nobody knows which these are.
    """
    note = {"handler": "vars", "immutable": name}
    tags = {
        # Found anywhere in the tag, as the rules of retention are.
        "vars_regexp": {_REFERENCE: {"pattern": "|".join(f"(?:{x})" for x in rule.matching)}},
        "not": [matches(_REFERENCE, f".*:.*|{REFERRERS_TAG}")],
    }
    return [when(tags, note), *([when(matches(_REFERENCE, ".*:.*"), note)] if digests else [])]


def _ask_for_tag() -> list[dict[str, Any]]:
    """Return the handlers that make a push of a tag that exists one of the digest that it has."""
    digest = "{http.reverse_proxy.header.Docker-Content-Digest}"
    exists = [
        {"handler": "vars", "exists": "yes"},
        {"handler": "rewrite", "uri": f"/v2/{REPOSITORY}/manifests/{digest}"},
    ]
    status = "{http.reverse_proxy.status_code}"
    ask = to_registry(
        {"Accept": ", ".join(MANIFEST_TYPES)},
        rewrite={"method": "HEAD", "uri": f"/v2/{REPOSITORY}/manifests/{_REFERENCE}"},
        handle_response=[
            {"match": {"status_code": [200]}, "routes": [{"handle": exists}]},
            {"match": {"status_code": [404]}, "routes": []},
            {"routes": [{"handle": [{"handler": "error", "status_code": status}]}]},
        ],
    )
    return [use(MANIFESTS_ADDRESS), ask]
