"""What may read which Secret: what containers mount, what their environment has, what roles grant.

What is not in the table must be impossible.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from settings.names import ACME_SECRET
from tests.unit.program.conftest import CONFIG, Run
from tests.unit.program.engine import Engine
from tests.unit.program.pods import Pod, pods

MODE = {
    "tls": {"mode": "letsEncrypt", "email": "you@example.com"},
    "nodes": {"configure": True},
    "page": {"enabled": True},
    "scan": {"enabled": True},
    "monitoring": {"enabled": True, "namespace": "prometheus"},
    "pullSecrets": {"namespaces": ["team-a"]},
    "cache": {"docker": {"upstream": "docker.io", "username": "me", "password": "x"}},
    "backup": {
        "endpoint": "https://copies.example.com",
        "bucket": "copies",
        "accessKey": "x",
        "secretKey": "x",
    },
    "webhooks": {"ci": {"url": "https://ci.example.com/", "headers": {"Authorization": "x"}}},
}
"""The default with everything that has a Secret or a token."""

TABLE = {
    "registry-config": (
        {"registry/registry", "registry/manifests"},
        "signs uploads, and has the headers of webhooks",
    ),
    "registry-storage-key": (
        {"registry/registry", "registry/manifests", "storage-check/script", "cache-docker/cache"},
        "reads and deletes all images: not for the auth proxy, which faces the outside",
    ),
    "registry-auth-proxy": (
        {"registry/auth-proxy"},
        "hashes of all passwords: not for the registries, which parse what users push",
    ),
    "cache-docker-config": (
        {"cache-docker/cache"},
        "logs in at another registry: not for what faces users",
    ),
    "smoke-test-login": ({"smoke-test/script"}, "pushes to one repository"),
    "scan-login": ({"scan/script"}, "pulls everything: not for the container of Trivy's image"),
    "maintenance-storage": (
        {"maintenance/script"},
        "deletes objects, and makes pods forget layers",
    ),
    "backup-storage": ({"backup/script"}, "reads all images, and writes their copy"),
    "backup-key": ({"backup-check/script"}, "reads and writes the copy"),
    "nodes-configurator-files": (
        {"node-configurator/configure"},
        "pulls everything: not for the container that lasts",
    ),
    "pull-secrets-team-a": (set(), "for pods of others"),
    ACME_SECRET: (
        {"acme-client/restore", "acme-client/keep"},
        "the certificate's key: not by the API for the Caddy that faces the outside",
    ),
}
"""The readers of each Secret, as pod/container, and why it is nobody else's."""

TOKENS = {
    "acme-client/restore": "reads the certificate's Secret when the pod starts",
    "acme-client/keep": "writes the certificate's Secret",
    "node-configurator/configure": "holds the lock of the node that restarts k3s",
    "scan/script": "writes what it finds into one ConfigMap",
    "maintenance/script": "writes what users see of its run into one ConfigMap",
}
"""The containers that may talk to the API server, and why."""


def containers(engine: Engine) -> Iterator[tuple[str, Pod, dict[str, Any], list[dict[str, Any]]]]:
    """Yield each container's name, its pod, itself, and the volumes that it mounts."""
    for pod in pods(engine):
        volumes = {volume["name"]: volume for volume in pod.spec.get("volumes", [])}
        for container in pod.containers:
            mounted = [volumes[x["name"]] for x in container.get("volumeMounts", [])]
            yield f"{pod.name}/{container['name']}", pod, container, mounted


def named_secrets(value: Any) -> Iterator[str]:
    """Yield the names of the Secrets that a part of a pod's spec refers to, however it does."""
    if isinstance(value, list):
        for item in value:
            yield from named_secrets(item)
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in {"secret", "secretRef", "secretKeyRef"}:
                yield inner.get("secretName") or inner["name"]
            yield from named_secrets(inner)


def with_token(engine: Engine) -> dict[str, Pod]:
    """Return the containers that have the token of their pod's service account."""
    return {
        name: pod
        for name, pod, _, mounted in containers(engine)
        if pod.spec.get("automountServiceAccountToken", True)
        or "serviceAccountToken" in str(mounted)
    }


def granted(engine: Engine, pod: Pod) -> Iterator[tuple[str, str]]:
    """Yield namespace and name of the Secrets that a pod's account may read; ``*`` for all."""
    account = pod.spec.get("serviceAccountName", "default")
    found = list(engine.resources.values())
    for binding in (x.inputs for x in found if x.type.endswith("RoleBinding")):
        if {"kind": "ServiceAccount", "name": account, "namespace": pod.namespace} not in [
            dict(subject) for subject in binding["subjects"]
        ]:
            continue
        for role in (x.inputs for x in found if x.type.endswith("Role")):
            if role["metadata"]["name"] == binding["roleRef"]["name"]:
                for rule in role["rules"]:
                    reads = {"get", "list", "watch", "*"} & {*rule["verbs"]}
                    if reads and {"secrets", "*"} & {*rule["resources"]}:
                        names = rule.get("resourceNames") or ["*"]
                        yield from ((role["metadata"]["namespace"], name) for name in names)


def readers(engine: Engine) -> dict[str, set[str]]:
    """Return who may read each Secret, by the name of its resource."""
    secrets = {
        (x.state["metadata"]["namespace"], x.state["metadata"]["name"]): resource
        for resource, x in engine.resources.items()
        if x.type.endswith(":Secret")
    } | {("registry", ACME_SECRET): ACME_SECRET}
    found: dict[str, set[str]] = {resource: set() for resource in secrets.values()}
    tokens = with_token(engine)
    for container, pod, spec, mounted in containers(engine):
        names = {(pod.namespace, name) for name in named_secrets([spec, mounted])}
        if container in tokens:
            names |= set(granted(engine, pod))
        for (namespace, name), resource in secrets.items():
            if {(namespace, name), (namespace, "*")} & names:
                found[resource].add(container)
    return found


def test_each_secret_has_the_readers_of_the_table_and_no_others(run: Run) -> None:
    found = readers(run({**CONFIG, **MODE}))
    assert found.keys() == TABLE.keys()
    for secret, (wanted, why) in TABLE.items():
        assert found[secret] == wanted, f"{secret}: {why}"


def test_only_the_containers_of_the_table_have_a_token(run: Run) -> None:
    assert with_token(run({**CONFIG, **MODE})).keys() == TOKENS.keys()


def test_no_container_gets_a_secret_by_its_environment(
    run: Run,
) -> None:
    """An environment is inherited, and shows in crash dumps: Secrets are files."""
    for name, _, container, _ in containers(run({**CONFIG, **MODE})):
        assert not list(named_secrets(container)), name
