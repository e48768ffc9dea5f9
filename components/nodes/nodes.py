"""How the cluster's nodes pull: files for nodes, and a DaemonSet that writes them."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from components.credentials import RegistryUser
from components.nodes.cloud_init import cloud_init
from components.nodes.configurator import NodeConfigurator, NodeConfiguratorArgs
from components.nodes.registries_yaml import registries_yaml
from settings.schema import NodesSettings


@dataclass(frozen=True, kw_only=True)
class NodesArgs:
    """How nodes pull.

    Attributes:
        namespace: The namespace to create for the node configurator; also the owner of its files.
    """

    settings: NodesSettings
    hostname: str
    user: RegistryUser
    namespace: str
    stack: str
    image: str


class Nodes(pulumi.ComponentResource):
    """The files that let nodes pull and, if configured, a DaemonSet that writes them."""

    registries_yaml: pulumi.Output[str]
    cloud_init: pulumi.Output[str]

    def __init__(
        self, name: str, args: NodesArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("registry:index:Nodes", name, None, opts)
        settings = args.settings
        self.registries_yaml = args.user.password.apply(
            lambda password: registries_yaml(
                settings,
                hostname=args.hostname,
                username=args.user.username,
                password=password,
                owner=args.namespace,
            )
        )
        self.cloud_init = self.registries_yaml.apply(
            lambda text: cloud_init(
                text, owner=args.namespace, only_mirrors=settings.override_docker_io
            )
        )
        if settings.configure:
            NodeConfigurator(
                f"{name}-configurator",
                NodeConfiguratorArgs(
                    namespace=args.namespace,
                    stack=args.stack,
                    image=args.image,
                    registries_yaml=self.registries_yaml,
                    only_mirrors=settings.override_docker_io,
                ),
                opts=pulumi.ResourceOptions(parent=self),
            )
        self.register_outputs(
            {"registries_yaml": self.registries_yaml, "cloud_init": self.cloud_init}
        )
