"""The record, in the state, of what a changed setting would leave behind."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from functools import partial
from typing import Any

import pulumi

from preflight.cluster import Cluster
from preflight.errors import NotReadyError
from preflight.routers import Served
from settings import Settings
from settings.commands import set_command
from settings.credentials import CloudAccess
from settings.names import ACME_SECRET
from settings.problems import Problem, SettingsError, explained
from settings.storage_place import place, require_same_place

_KINDS = (
    "secrets,configmaps,persistentvolumeclaims,services,deployments.apps,statefulsets.apps,"
    "daemonsets.apps,jobs.batch,cronjobs.batch,ingresses.networking.k8s.io"
)
"""What people create in a namespace."""

_CREATED_ANEW = {("ConfigMap", "kube-root-ca.crt"), ("Secret", ACME_SECRET)}
"""What Kubernetes and the ACME client create, by kind and name."""

_ENTRIES = "docs/nodes.md#remove-the-entries"


def record(
    settings: Settings, access: CloudAccess, cluster: Cluster, served: Sequence[Served]
) -> pulumi.Output[None]:
    """Record where images and registry are, and refuse settings that would leave something there.

    The engine compares the state with the settings before anything else, in previews too. `served`
    is what serves the hostname from other namespaces of a stack with this name.

    Returns:
        An output that is known only if nothing would be lost.
    """
    refuse = partial(refuse_losses, settings, access, cluster, served)

    async def refuse_before(args: pulumi.ResourceHookArgs) -> None:
        old = args.old_inputs
        # The cluster may be asked, and the engine is waiting for other resources meanwhile.
        await asyncio.to_thread(refuse, old["input"] if old else None)

    hook = pulumi.ResourceHook(
        "compare-record", refuse_before, pulumi.ResourceHookOptions(on_dry_run=True)
    )
    hooks = pulumi.ResourceHookBinding(before_create=[hook], before_update=[hook])
    stash = pulumi.Stash(
        "record",
        input={
            "storage": place(settings.storage, access.spaces_endpoint),
            "hostname": settings.hostname,
            "namespace": settings.namespace,
            "rotation": settings.rotation,
            "nodes": settings.nodes.configure,
        },
        opts=pulumi.ResourceOptions(hooks=hooks),
    )
    # `pulumi up --target` of something else neither updates the stash nor runs its hook: then this
    # is what the state had, and the settings otherwise.
    return stash.input.apply(explained(refuse))


def refuse_losses(
    settings: Settings,
    access: CloudAccess,
    cluster: Cluster,
    served: Sequence[Served],
    recorded: dict[str, Any] | None,
) -> None:
    """Raise if settings would lose what is recorded; arguments are those of :func:`record`."""
    _require_free(served, recorded, settings)
    if recorded is None:
        return
    wanted = place(settings.storage, access.spaces_endpoint)
    moved_from = settings.storage.moved_from if settings.storage.kind == "s3" else None
    require_same_place(recorded["storage"], wanted, moved_from)
    _require_no_older(recorded["rotation"], settings.rotation)
    if recorded["namespace"] != settings.namespace:
        _require_no_entries(recorded, settings.namespace)
        _require_empty(recorded["namespace"], settings.namespace, cluster)


def _require_free(
    served: Sequence[Served], recorded: dict[str, Any] | None, settings: Settings
) -> None:
    """Refuse a hostname that another state of a stack with this name serves.

    Only a new hostname or namespace is looked at: until the namespace that this state has left is
    gone, it serves the hostname, too.
    """
    old = recorded or {"namespace": None, "hostname": None}
    if (old["namespace"], old["hostname"]) == (settings.namespace, settings.hostname):
        return
    others = [item.problem for item in served if item.namespace != old["namespace"]]
    if others:
        raise SettingsError(*others)


def _require_no_older(recorded: int, wanted: int) -> None:
    if wanted < recorded:
        raise SettingsError(
            Problem(
                "rotation",
                json.dumps(wanted),
                f"the passwords are of generation {recorded}: an older one would end the "
                "current logins",
                set_command(["rotation"], recorded),
            )
        )


def _require_no_entries(recorded: dict[str, Any], wanted: str) -> None:
    """Refuse another namespace while nodes may have entries that are this one's.

    Raises:
        SettingsError: Nodes are configured.
    """
    if not recorded["nodes"]:
        return
    unset = set_command(["nodes", "configure"], False)
    raise SettingsError(
        Problem(
            "namespace",
            json.dumps(wanted),
            "the state says that nodes are configured; their entries would stay: the node "
            "configurator of another namespace neither changes nor removes them",
            f"{set_command(['namespace'], recorded['namespace'])}\n"
            f"and to rename it, first remove the entries: {_ENTRIES}, which ends with\n"
            f"{unset} && pulumi up",
        )
    )


def _require_empty(namespace: str, wanted: str, cluster: Cluster) -> None:
    """Refuse to replace a namespace with objects that nothing would create anew.

    Raises:
        SettingsError: With the objects.
        NotReadyError: In an update, if the cluster cannot be asked.
    """
    try:
        objects = cluster.contents(namespace, _KINDS)
    except NotReadyError:
        if pulumi.runtime.is_dry_run():
            return
        raise
    lost = [f"{kind}/{data['name']}" for kind, data in objects if _made_by_hand(kind, data)]
    if not lost:
        return
    delete = f"kubectl --namespace {namespace} delete {' '.join(lost).lower()}"
    raise SettingsError(
        Problem(
            "namespace",
            json.dumps(wanted),
            f"the namespace {namespace} would be deleted, and with it what this stack did not "
            f"create there: {', '.join(lost)}",
            f"{set_command(['namespace'], namespace)}\n"
            "or save them, delete them, and create them in the new namespace after "
            f"`pulumi up`: {delete}",
        )
    )


def _made_by_hand(kind: str, metadata: dict[str, Any]) -> bool:
    """Return whether neither Pulumi nor what runs in the cluster would create an object anew."""
    managers = [entry["manager"] for entry in metadata.get("managedFields", [])]
    return not (
        (kind, metadata["name"]) in _CREATED_ANEW
        or metadata.get("ownerReferences")
        or "cert-manager.io/certificate-name" in metadata.get("annotations", {})
        # https://www.pulumi.com/registry/packages/kubernetes/how-to-guides/managing-resources-with-server-side-apply/
        or any(manager.startswith("pulumi-kubernetes") for manager in managers)
    )
