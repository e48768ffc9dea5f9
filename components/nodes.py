"""How nodes pull: the files that set them up, and nodes that set themselves up."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from components.enrolment import Enrolment, EnrolmentArgs
from components.render.cloud_init import cloud_init
from components.render.registries_yaml import registries_yaml
from components.settings.sections import NodesSettings


@dataclass(frozen=True, kw_only=True)
class NodesArgs:
    """What nodes are told.

    Attributes:
        hostname: The registry's host name.
        username: Whom nodes pull as.
        password: That user's password; secret.
        choices: How they pull.
        namespace: The namespace to create for the enrolment, if it is chosen.
        stack: The full name of this stack.
        image: Runs the enrolment; has Python 3.9 or newer as ``python3``.
    """

    hostname: str
    username: str
    password: pulumi.Input[str]
    choices: NodesSettings
    namespace: str
    stack: str
    image: str


class Nodes(pulumi.ComponentResource):
    """The files that let nodes pull, and if so chosen a DaemonSet that writes them.

    Attributes:
        registries_yaml: For nodes that there are; secret.
        cloud_init: For nodes yet to come; secret.
    """

    registries_yaml: pulumi.Output[str]
    cloud_init: pulumi.Output[str]

    def __init__(
        self, name: str, args: NodesArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("registry:index:Nodes", name, None, opts)
        choices = args.choices
        self.registries_yaml = pulumi.Output.secret(args.password).apply(
            lambda password: registries_yaml(
                hostname=args.hostname,
                username=args.username,
                password=password,
                mirror_prefix=choices.mirror_prefix,
                override_docker_io=choices.override_docker_io,
                ca_file=choices.ca_file,
            )
        )
        self.cloud_init = self.registries_yaml.apply(
            lambda text: cloud_init(text, only_mirrors=choices.override_docker_io)
        )
        if choices.enrol:
            Enrolment(
                f"{name}-enrolment",
                EnrolmentArgs(
                    namespace=args.namespace,
                    stack=args.stack,
                    image=args.image,
                    registries_yaml=self.registries_yaml,
                    only_mirrors=choices.override_docker_io,
                ),
                opts=pulumi.ResourceOptions(parent=self),
            )
        self.register_outputs({})
