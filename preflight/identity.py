"""The cluster that the stack lives in, as its state knows it."""

from __future__ import annotations

import pulumi

from settings.problems import Problem, SettingsError, explained


def cluster_identifier(uid: str | None) -> pulumi.Output[str]:
    """Return the UID of the cluster that the stack lives in, once it is known to be this one.

    The state keeps the UID of the first `pulumi up`, whatever the kubeconfig says later. With that
    of another cluster, Pulumi would treat its objects of the same names as the stack's own. A
    preview that cannot reach the cluster knows no UID.
    """
    recorded = pulumi.Stash(
        "cluster-uid", input=uid or "", opts=pulumi.ResourceOptions(ignore_changes=["input"])
    ).output
    return recorded.apply(explained(lambda recorded: same_cluster(recorded, uid)))


def same_cluster(recorded: str, uid: str | None) -> str:
    """Return the recorded UID.

    Raises:
        SettingsError: They differ.
    """
    if uid in (recorded, None):
        return recorded
    raise SettingsError(
        Problem(
            "kubernetes:kubeconfig",
            f"a cluster whose namespace kube-system has the UID {uid}",
            f"expected this stack's cluster, UID {recorded}",
            "export KUBECONFIG=<path>, or pulumi config set kubernetes:context <name>; if that "
            "cluster is gone for good: docs/operations.md#another-cluster",
        )
    )
