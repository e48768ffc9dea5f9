"""Rules for what pods may do by the API server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from policy.reading import at, elements, fits

_TOKEN = "kubernetes.io/service-account-token"  # noqa: S105 - the type of a Secret
"""https://kubernetes.io/docs/concepts/configuration/secret/#serviceaccount-token-secrets"""


def broad(inputs: dict[str, Any]) -> Iterator[str]:
    """Yield what lets pods read Secrets that they do not need."""
    match inputs.get("kind"):
        case "Role":
            for rule in elements(at(inputs, "rules")):
                if _reads_all_secrets(rule):
                    yield "rules: expected resourceNames where Secrets are not only created"
        case "RoleBinding":
            if not fits(at(inputs, "roleRef", "kind"), "Role"):
                yield "roleRef.kind: expected Role, whose rules policies see"
        case "Secret":
            if at(inputs, "type") == _TOKEN:
                yield "type: expected no API token that never expires"


def _reads_all_secrets(rule: Any) -> bool:
    """Return whether a rule is of Secrets and of none by name.

    A name is not known yet when it is decided who may create.
    """
    return (
        not {"", "*"}.isdisjoint(elements(at(rule, "apiGroups")))
        and not {"secrets", "*"}.isdisjoint(elements(at(rule, "resources")))
        and not {"create"}.issuperset(elements(at(rule, "verbs")))
        and at(rule, "resourceNames") in (None, [])
    )
