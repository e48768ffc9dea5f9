"""What in the cluster is in the way of a registry with certain settings."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable
from typing import Any

from settings import Settings
from settings.commands import set_command
from settings.names import PULL_SECRET
from settings.problems import Problem
from settings.tls import TlsCertManager


def missing_namespaces(settings: Settings, items: Iterable[dict[str, Any]]) -> list[Problem]:
    """Return the namespaces that are to get a pull Secret, and do not exist."""
    names = {item["metadata"]["name"] for item in items}
    return [
        Problem(
            "pullSecrets.namespaces",
            json.dumps(namespace),
            "expected a namespace that exists: pull Secrets go to namespaces of yours",
            f"kubectl create namespace {namespace}",
        )
        for namespace in settings.pull_secrets.namespaces
        if namespace not in names
    ]


def service_accounts(settings: Settings, items: Iterable[dict[str, Any]]) -> list[Problem]:
    """Return the default service accounts whose pull Secrets of others would be lost."""
    accounts = {
        item["metadata"]["namespace"]: {x["name"] for x in item.get("imagePullSecrets", [])}
        for item in items
        if item["metadata"]["name"] == "default"
    }
    return [
        _others_pull_secrets(namespace, others)
        for namespace in settings.pull_secrets.namespaces
        if (others := accounts.get(namespace, set()) - {PULL_SECRET})
    ]


def _others_pull_secrets(namespace: str, others: set[str]) -> Problem:
    patch = [{"op": "add", "path": "/imagePullSecrets/-", "value": {"name": PULL_SECRET}}]
    return Problem(
        "pullSecrets.defaultServiceAccount",
        "true",
        f"the default service account of {namespace} has pull Secrets already: "
        f"{', '.join(sorted(others))}; its list has one owner, and they would be lost",
        f"{set_command(['pullSecrets', 'defaultServiceAccount'], 'false')} && "
        f"kubectl --namespace {namespace} patch serviceaccount default --type=json "
        f"--patch={shlex.quote(json.dumps(patch))}",
    )


def certificate(tls: TlsCertManager, metadata: dict[str, Any] | None) -> list[Problem]:
    """Return whether cert-manager would overwrite a certificate that it did not get itself."""
    if metadata is None or "cert-manager.io/issuer-name" in metadata.get("annotations", {}):
        return []
    return [
        Problem(
            "tls.secretName",
            json.dumps(tls.secret_name),
            f"the Secret {metadata['namespace']}/{tls.secret_name} exists, and cert-manager did "
            "not create it",
            set_command(["tls", "secretName"], f"{tls.secret_name}-cert-manager"),
        )
    ]
