"""Guard against taking over what exists: identity is in the state, not in names."""

from __future__ import annotations

import asyncio
from typing import Any

import pulumi

from preflight.cluster import Cluster
from preflight.errors import NotReadyError
from settings import Settings
from settings.commands import set_command
from settings.names import STACK_ANNOTATION


def refuse_existing(
    settings: Settings, cluster: Cluster, stack: str
) -> pulumi.ResourceTransformation:
    """Return a transformation that refuses to create an object that exists, before it is created.

    Only the engine knows whether an object is in the state, and it asks here when one is not. The
    provider refuses, too, but not in a preview. What is in the registry's own namespaces is its
    own, since they are.
    """
    own = {settings.namespace, settings.nodes_namespace}

    async def must_not_exist(args: pulumi.ResourceHookArgs) -> None:
        inputs = args.new_inputs or {}
        metadata = inputs["metadata"]
        name, namespace = metadata.get("name"), metadata.get("namespace", "")
        # In a preview without a cluster, the namespace's own name is unknown.
        if namespace in own or not isinstance(namespace, str):
            return
        try:
            # Ten such objects are asked for at once.
            existing = await asyncio.to_thread(
                cluster.metadata, inputs["kind"], inputs["apiVersion"], name, namespace
            )
        except NotReadyError:
            if pulumi.runtime.is_dry_run():
                return
            raise
        if existing is not None:
            raise pulumi.RunError(_refusal(args, existing, stack, settings))

    hook = pulumi.ResourceHook(
        "must-not-exist", must_not_exist, pulumi.ResourceHookOptions(on_dry_run=True)
    )

    def add_hook(
        args: pulumi.ResourceTransformationArgs,
    ) -> pulumi.ResourceTransformationResult | None:
        # A patch is for what exists.
        if not args.type_.startswith("kubernetes:") or args.type_.endswith("Patch"):
            return None
        hooks = pulumi.ResourceHookBinding(before_create=[hook])
        opts = pulumi.ResourceOptions.merge(args.opts, pulumi.ResourceOptions(hooks=hooks))
        return pulumi.ResourceTransformationResult(args.props, opts)

    return add_hook


def _refusal(
    args: pulumi.ResourceHookArgs, metadata: dict[str, Any], stack: str, settings: Settings
) -> str:
    """Return what exists in a resource's place, whose it is, and the commands that help."""
    kind, name, namespace = args.type.split(":")[-1], metadata["name"], metadata.get("namespace")
    owner = metadata.get("annotations", {}).get(STACK_ANNOTATION)
    if owner == stack:
        whose = "another state of this stack, or an interrupted run, created it"
    else:
        whose = f"the stack {owner} created it" if owner else "this stack did not create it"
    if namespace:
        where = f"{namespace}/{name}"
        fix = f"if nobody needs it: kubectl delete {kind.lower()} {name} --namespace={namespace}"
    else:
        where = name
        fix = set_command(["namespace"], f"{settings.namespace}-2")
    if name == settings.namespace:
        fix += (
            "\n       or adopt it, to be managed and one day deleted by this stack:"
            f"\n       pulumi import {args.type} {args.name} {name} --protect=false "
            "--generate-code=false"
        )
    return (
        f"the {kind} {where} exists, and is not in this stack's state, or would be replaced: "
        f"{whose}\n  fix: {fix}"
    )
