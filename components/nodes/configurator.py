"""Nodes that configure themselves: a DaemonSet that writes registries.yaml and restarts k3s."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pulumi
import pulumi_kubernetes as kubernetes
import yaml

from components.metadata import labels
from components.pod_security import restricted_container, restricted_pod
from components.script_files import config_map, script_files, script_volume, token_volume
from settings.names import STACK_ANNOTATION

NAME = "node-configurator"
"""The name of the DaemonSet and its component label."""

LABELS = labels(NAME)

LEASE_NAMESPACE, LEASE = "kube-system", "k3s-registry-restart"
"""The lock of the one node that restarts k3s: one in a cluster, whoever restarts it."""

_SCRIPTS = "nodes"
"""The folder of its scripts."""

_FILES, _CODE, _LIBRARY, _CREDENTIALS, _NODE = (
    *(f"/configure/{folder}" for folder in ("files", "code", "library", "credentials")),
    "/node",
)


@dataclass(frozen=True, kw_only=True)
class NodeConfiguratorArgs:
    """What is written on all nodes.

    Attributes:
        namespace: The namespace to create for it; also the owner of the files.
        registries_yaml: What registries.yaml must be; secret.
        only_mirrors: Whether k3s must not ask docker.io for what the registry does not have.
    """

    namespace: str
    stack: str
    image: str
    registries_yaml: pulumi.Input[str]
    only_mirrors: bool


class NodeConfigurator(pulumi.ComponentResource):
    """Runs configure_node.py on every node, new ones included, and whenever its files change.

    It is root on the nodes, so it has a namespace of its own that allows this. All fields are
    written out that the API server would fill in: where they are part of a list, an `up` after an
    interrupted one ends in a conflict with itself otherwise.
    """

    def __init__(
        self, name: str, args: NodeConfiguratorArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("registry:index:NodeConfigurator", name, None, opts)
        self._name, self._args = name, args
        namespace = kubernetes.core.v1.Namespace(
            f"{name}-namespace",
            metadata={
                "name": args.namespace,
                "annotations": {STACK_ANNOTATION: args.stack},
                "labels": {"pod-security.kubernetes.io/enforce": "privileged"},
            },
            opts=pulumi.ResourceOptions(parent=self),
        )
        self._namespace = namespace.metadata.name
        self._child = pulumi.ResourceOptions(parent=self, deleted_with=namespace)
        daemon_set = kubernetes.apps.v1.DaemonSet(
            f"{name}-daemon-set",
            metadata={"name": NAME, "namespace": self._namespace, "labels": LABELS},
            spec={
                "selector": {"match_labels": LABELS},
                "revision_history_limit": 10,
                # All at once: a node that is off does not keep the others from a new password, and
                # only the one that holds the lock restarts.
                "update_strategy": {
                    "type": "RollingUpdate",
                    "rolling_update": {"max_unavailable": "100%", "max_surge": 0},
                },
                "template": {"metadata": {"labels": LABELS}, "spec": self._pod()},
            },
            # Deleted before its namespace, unlike the rest: that would wait longer for the pods.
            opts=pulumi.ResourceOptions(parent=self, depends_on=self._lease_rbac()),
        )
        if not pulumi.runtime.is_dry_run():
            # The provider waits for all nodes, and does not tell why one of them is not ready.
            pulumi.log.info(
                "nodes are configured one at a time; what they say: "
                f"kubectl logs --namespace={args.namespace} --container=configure --prefix "
                f"--selector=app.kubernetes.io/component={NAME} --follow",
                daemon_set,
            )
        self.register_outputs({})

    def _lease_rbac(self) -> kubernetes.rbac.v1.RoleBinding:
        """Grant the namespace's default service account the lock, and nothing else."""
        group, name = "coordination.k8s.io", f"{NAME}-{self._args.namespace}"
        role = kubernetes.rbac.v1.Role(
            f"{self._name}-role",
            metadata={"name": name, "namespace": LEASE_NAMESPACE},
            rules=[
                # The name is not known yet when it is decided who may create.
                {"api_groups": [group], "resources": ["leases"], "verbs": ["create"]},
                {
                    "api_groups": [group],
                    "resources": ["leases"],
                    "resource_names": [LEASE],
                    "verbs": ["get", "patch", "delete"],
                },
            ],
            opts=pulumi.ResourceOptions(parent=self),
        )
        return kubernetes.rbac.v1.RoleBinding(
            f"{self._name}-role-binding",
            metadata={"name": name, "namespace": LEASE_NAMESPACE},
            role_ref={
                "api_group": "rbac.authorization.k8s.io",
                "kind": "Role",
                "name": role.metadata.name,
            },
            subjects=[{"kind": "ServiceAccount", "name": "default", "namespace": self._namespace}],
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _pod(self) -> kubernetes.core.v1.PodSpecArgsDict:
        """Return the spec of a pod that is ready once its node is configured."""
        args = self._args
        container: kubernetes.core.v1.ContainerArgsDict = {
            "name": "configure",
            "image": args.image,
            "image_pull_policy": "IfNotPresent",
            "termination_message_path": "/dev/termination-log",
            "termination_message_policy": "FallbackToLogsOnError",
        }
        return {
            "automount_service_account_token": False,
            "enable_service_links": False,
            "dns_policy": "ClusterFirst",
            "restart_policy": "Always",
            "scheduler_name": "default-scheduler",
            "security_context": restricted_pod(),
            "termination_grace_period_seconds": 1,
            # Nodes that other pods keep away from pull images too.
            "tolerations": [{"operator": "Exists"}],
            "node_selector": {"kubernetes.io/os": "linux"},
            "init_containers": [
                {
                    **container,
                    "command": [
                        *("python3", "-m", "scripts.nodes.configure_node"),
                        f"{_FILES}/registries.yaml",
                        f"--node={_NODE}",
                        f"--owner={args.namespace}",
                        f"--lease={LEASE_NAMESPACE}/{LEASE}",
                        f"--credentials={_CREDENTIALS}",
                        *(["--only-mirrors"] if args.only_mirrors else []),
                    ],
                    "working_dir": _CODE,
                    "env": [
                        {"name": "PYTHONPATH", "value": _LIBRARY},
                        {
                            "name": "NODE_NAME",
                            "value_from": {
                                "field_ref": {"api_version": "v1", "field_path": "spec.nodeName"}
                            },
                        },
                    ],
                    "security_context": {
                        **restricted_container(),
                        "run_as_non_root": False,
                        "run_as_user": 0,
                        "run_as_group": 0,
                        # To call the node's systemctl.
                        "capabilities": {"drop": ["ALL"], "add": ["SYS_CHROOT"]},
                    },
                    "resources": {
                        "requests": {"cpu": "10m", "memory": "32Mi"},
                        "limits": {"memory": "128Mi"},
                    },
                    "volume_mounts": [
                        {"name": "files", "mount_path": _FILES, "read_only": True},
                        {"name": "code", "mount_path": f"{_CODE}/scripts", "read_only": True},
                        {"name": "library", "mount_path": f"{_LIBRARY}/yaml", "read_only": True},
                        {"name": "credentials", "mount_path": _CREDENTIALS, "read_only": True},
                        {"name": "node", "mount_path": _NODE},
                    ],
                }
            ],
            "containers": [
                {
                    **container,
                    "name": "done",
                    "command": ["python3", "-c", "import signal; signal.pause()"],
                    "security_context": restricted_container(),
                    "resources": {
                        "requests": {"cpu": "1m", "memory": "16Mi"},
                        "limits": {"memory": "32Mi"},
                    },
                }
            ],
            "volumes": self._volumes(),
        }

    def _volumes(self) -> list[kubernetes.core.v1.VolumeArgsDict]:
        # All three objects are named anew when they change, which rolls out the pods.
        files = kubernetes.core.v1.Secret(
            f"{self._name}-files",
            metadata={"namespace": self._namespace, "labels": LABELS},
            type="Opaque",
            immutable=True,
            string_data={"registries.yaml": pulumi.Output.secret(self._args.registries_yaml)},
            opts=self._child,
        )
        # PyYAML's pure Python part, as this program has it installed: the image has only Python.
        paths = sorted(Path(yaml.__file__).parent.glob("*.py"))
        library = config_map(
            f"{self._name}-library",
            self._namespace,
            LABELS,
            {path.name: path.read_text() for path in paths},
            self._child,
        )
        code = config_map(
            f"{self._name}-script", self._namespace, LABELS, script_files(_SCRIPTS), self._child
        )
        mode = 0o440
        return [
            {"name": "files", "secret": {"secret_name": files.metadata.name, "default_mode": mode}},
            script_volume(_SCRIPTS, code),
            {"name": "library", "config_map": {"name": library, "default_mode": mode}},
            # The init container's only: what lasts has no token.
            token_volume(),
            {"name": "node", "host_path": {"path": "/", "type": "Directory"}},
        ]
