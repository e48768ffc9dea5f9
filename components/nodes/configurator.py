"""Nodes that set themselves up: a DaemonSet that writes registries.yaml and restarts k3s."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pulumi
import pulumi_kubernetes as kubernetes
import yaml

from components.metadata import STACK_ANNOTATION, labels
from components.pod_security import SECCOMP_PROFILE, USER_ID, restricted_container
from components.script_job import SCRIPTS

SCRIPT = SCRIPTS / "configure_node.py"

NAME = "node-configurator"
"""The name of the DaemonSet, its component label and its Lease."""

LABELS = labels(NAME)

LEASE = NAME
"""The lock that one node at a time holds while it restarts k3s."""

_FILES, _SCRIPT, _LIBRARY, _NODE = (
    "/configure/files",
    "/configure/script",
    "/configure/library",
    "/node",
)


@dataclass(frozen=True, kw_only=True)
class NodeConfiguratorArgs:
    """What is written on all nodes.

    Attributes:
        namespace: The namespace to create for it.
        stack: The full name of this stack.
        image: Has Python 3.9 or newer as ``python3``.
        registries_yaml: What registries.yaml must hold, among other things; secret.
        only_mirrors: Whether k3s must not ask docker.io for what the registry does not have.
    """

    namespace: str
    stack: str
    image: str
    registries_yaml: pulumi.Input[str]
    only_mirrors: bool


class NodeConfigurator(pulumi.ComponentResource):
    """Runs configure_node.py on every node, new ones included, and whenever its files change.

    It is root on the nodes, so it has a namespace of its own that allows this.
    """

    def __init__(
        self, name: str, args: NodeConfiguratorArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(
            "registry:index:NodeConfigurator",
            name,
            None,
            pulumi.ResourceOptions.merge(
                opts,
                pulumi.ResourceOptions(
                    aliases=[pulumi.Alias(name="nodes-enrolment", type_="registry:index:Enrolment")]
                ),
            ),
        )
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
        binding = self._may_lock()
        daemon_set = kubernetes.apps.v1.DaemonSet(
            f"{name}-daemon-set",
            metadata={"name": NAME, "namespace": self._namespace, "labels": LABELS},
            spec={
                "selector": {"match_labels": LABELS},
                "template": {"metadata": {"labels": LABELS}, "spec": self._pod()},
            },
            # Deleted by itself, unlike the rest: the namespace would wait longer for the pods.
            opts=pulumi.ResourceOptions(parent=self, depends_on=binding),
        )
        # The provider waits for all nodes, and does not tell why one of them is not ready.
        pulumi.log.info(
            "nodes are set up one at a time; what they say: "
            f"kubectl logs --namespace={args.namespace} --container=configure --prefix "
            f"--selector=app.kubernetes.io/component={NAME}",
            daemon_set,
        )
        self.register_outputs({})

    def _may_lock(self) -> kubernetes.rbac.v1.RoleBinding:
        """Let the namespace's default service account hold the one Lease, and do nothing else."""
        role = kubernetes.rbac.v1.Role(
            f"{self._name}-role",
            metadata={"name": LEASE, "namespace": self._namespace},
            rules=[
                # A name cannot be asked of who creates: it is not known yet when that is decided.
                {
                    "api_groups": ["coordination.k8s.io"],
                    "resources": ["leases"],
                    "verbs": ["create"],
                },
                {
                    "api_groups": ["coordination.k8s.io"],
                    "resources": ["leases"],
                    "resource_names": [LEASE],
                    "verbs": ["get", "delete"],
                },
            ],
            opts=self._child,
        )
        return kubernetes.rbac.v1.RoleBinding(
            f"{self._name}-role-binding",
            metadata={"name": LEASE, "namespace": self._namespace},
            role_ref={
                "api_group": "rbac.authorization.k8s.io",
                "kind": "Role",
                "name": role.metadata.name,
            },
            subjects=[{"kind": "ServiceAccount", "name": "default", "namespace": self._namespace}],
            opts=self._child,
        )

    def _pod(self) -> kubernetes.core.v1.PodSpecArgsDict:
        """Describe a pod that is ready once its node is set up."""
        args = self._args
        # All three are named anew when they change, which rolls out the pods.
        files = kubernetes.core.v1.Secret(
            f"{self._name}-files",
            metadata={"namespace": self._namespace, "labels": LABELS},
            immutable=True,
            string_data={"registries.yaml": pulumi.Output.secret(args.registries_yaml)},
            opts=self._child,
        )
        script = self._texts("script", [SCRIPT])
        # PyYAML's pure Python part, as this program has it installed: the image has only Python.
        library = self._texts("library", sorted(Path(yaml.__file__).parent.glob("*.py")))
        return {
            "enable_service_links": False,
            "termination_grace_period_seconds": 1,
            # Nodes that other pods keep away from pull images too.
            "tolerations": [{"operator": "Exists"}],
            "node_selector": {"kubernetes.io/os": "linux"},
            "init_containers": [
                {
                    "name": "configure",
                    "image": args.image,
                    "command": [
                        "python3",
                        f"{_SCRIPT}/{SCRIPT.name}",
                        f"{_FILES}/registries.yaml",
                        f"--node={_NODE}",
                        f"--lease={LEASE}",
                        *(["--only-mirrors"] if args.only_mirrors else []),
                    ],
                    "env": [
                        {"name": "PYTHONPATH", "value": _LIBRARY},
                        {
                            "name": "NODE_NAME",
                            # The version is the default, and is said nevertheless: without it,
                            # an `up` after an interrupted one ends in a conflict with itself.
                            "value_from": {
                                "field_ref": {"api_version": "v1", "field_path": "spec.nodeName"}
                            },
                        },
                    ],
                    "security_context": {
                        **restricted_container(),
                        "run_as_user": 0,
                        # To call the node's systemctl.
                        "capabilities": {"drop": ["ALL"], "add": ["SYS_CHROOT"]},
                        "seccomp_profile": SECCOMP_PROFILE,
                    },
                    "termination_message_policy": "FallbackToLogsOnError",
                    "resources": {
                        "requests": {"cpu": "10m", "memory": "32Mi"},
                        "limits": {"memory": "128Mi"},
                    },
                    "volume_mounts": [
                        {"name": "files", "mount_path": _FILES, "read_only": True},
                        {"name": "script", "mount_path": _SCRIPT, "read_only": True},
                        {"name": "library", "mount_path": f"{_LIBRARY}/yaml", "read_only": True},
                        {"name": "node", "mount_path": _NODE},
                    ],
                }
            ],
            "containers": [
                {
                    "name": "done",
                    "image": args.image,
                    "command": ["python3", "-c", "import signal; signal.pause()"],
                    "security_context": {
                        **restricted_container(),
                        "run_as_non_root": True,
                        "run_as_user": USER_ID,
                        "seccomp_profile": SECCOMP_PROFILE,
                    },
                    "resources": {
                        "requests": {"cpu": "1m", "memory": "16Mi"},
                        "limits": {"memory": "32Mi"},
                    },
                }
            ],
            "volumes": [
                {"name": "files", "secret": {"secret_name": files.metadata.name}},
                {"name": "script", "config_map": {"name": script}},
                {"name": "library", "config_map": {"name": library}},
                {"name": "node", "host_path": {"path": "/", "type": "Directory"}},
            ],
        }

    def _texts(self, purpose: str, paths: list[Path]) -> pulumi.Output[str]:
        """Put files into a ConfigMap, and answer its name."""
        return kubernetes.core.v1.ConfigMap(
            f"{self._name}-{purpose}",
            metadata={"namespace": self._namespace, "labels": LABELS},
            immutable=True,
            data={path.name: path.read_text() for path in paths},
            opts=self._child,
        ).metadata.name
