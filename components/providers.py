"""The one place that creates providers; components inherit them."""

from __future__ import annotations

from typing import Any

import pulumi
import pulumi_digitalocean as digitalocean
import pulumi_kubernetes as kubernetes

from components.storage.new_key import report_others
from settings.credentials import CloudAccess


def cluster_provider(access: CloudAccess, identifier: pulumi.Input[str]) -> kubernetes.Provider:
    """Create the provider of everything in the cluster.

    Secrets and ConfigMaps are updated in place; those that must not be are marked immutable.

    Args:
        access: The configured arguments; without a kubeconfig the current one is used.
        identifier: What stays the same as long as the cluster does, however it is reached. Without
            it, another server address or CA replaces every object in the cluster:
            https://www.pulumi.com/registry/packages/kubernetes/api-docs/provider/
    """
    configured: dict[str, Any] = {
        "cluster_identifier": identifier,
        "enable_config_map_mutable": True,
        "enable_secret_mutable": True,
        "enable_server_side_apply": True,
        "upsert_existing_objects": False,
        **access.kubernetes,
    }
    if "kubeconfig" in configured:
        configured["kubeconfig"] = pulumi.Output.secret(configured["kubeconfig"])

    def only_configured(
        args: pulumi.ResourceTransformationArgs,
    ) -> pulumi.ResourceTransformationResult:
        # The SDK copies the environment into the state: one machine's paths and choices. The
        # provider itself reads the same variables, in each command.
        props = {key: value for key, value in args.props.items() if key in configured}
        return pulumi.ResourceTransformationResult(props, args.opts)

    opts = pulumi.ResourceOptions(transformations=[only_configured])
    return kubernetes.Provider("cluster", **configured, opts=opts)


def spaces_provider(
    access: CloudAccess, namespace: kubernetes.core.v1.Namespace, rotation: int
) -> digitalocean.Provider:
    """Create a provider that can create Spaces from a token alone.

    Creating a Space takes a Spaces key with full access. If the user has none, a bootstrap key is
    created with the token; it stays in the state, encrypted, for later runs.

    Args:
        access: The token, and the user's own Spaces key, if any.
        namespace: Nothing is created in the cloud before this namespace is known to be the stack's.
    """
    configured = _digitalocean(access)
    if access.has_spaces_key:
        after = pulumi.ResourceOptions(depends_on=[namespace])
        return digitalocean.Provider("spaces", **configured, opts=after)
    account = account_provider(access, namespace)
    bootstrap = digitalocean.SpacesKey(
        "bootstrap-key",
        name=f"{pulumi.get_project()}-{pulumi.get_stack()}-bootstrap",
        grants=[{"bucket": "", "permission": "fullaccess"}],
        opts=pulumi.ResourceOptions(
            provider=account,
            replace_on_changes=["grants"],
            replacement_trigger=rotation,
            hooks=pulumi.ResourceHookBinding(before_create=[report_others(access)]),
        ),
    )
    return digitalocean.Provider(
        "spaces",
        **configured,
        spaces_access_id=bootstrap.access_key,
        spaces_secret_key=bootstrap.secret_key,
    )


def account_provider(
    access: CloudAccess, namespace: kubernetes.core.v1.Namespace
) -> digitalocean.Provider:
    """Create a provider that can do what the token can, which is all but creating Spaces.

    Args:
        namespace: Nothing is created in the cloud before this namespace is known to be the stack's.
    """
    after = pulumi.ResourceOptions(depends_on=[namespace])
    return digitalocean.Provider("account", **_digitalocean(access), opts=after)


def _digitalocean(access: CloudAccess) -> dict[str, Any]:
    configured: dict[str, Any] = dict(access.digitalocean)
    if "spaces_secret_key" in configured:
        configured["spaces_secret_key"] = pulumi.Output.secret(configured["spaces_secret_key"])
    return configured
