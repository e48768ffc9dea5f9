"""Who may log in, and the registry's own secret; all random, drawn once and kept in state."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_random as random

from components.render.htpasswd import htpasswd_line


@dataclass(frozen=True, kw_only=True)
class CredentialsArgs:
    """Whom to make credentials for.

    Attributes:
        admin_user: The name of who may push and pull.
        pull_user: The name of who may pull only.
    """

    admin_user: str
    pull_user: str


@dataclass(frozen=True, kw_only=True)
class Login:
    """Somebody who may log in.

    Attributes:
        username: The name.
        password: The password; secret.
        htpasswd: The line that lets the registry verify it; secret.
    """

    username: str
    password: pulumi.Output[str]
    htpasswd: pulumi.Output[str]


class Credentials(pulumi.ComponentResource):
    """The logins, and the secret that signs the state of uploads.

    Attributes:
        admin: Who may push and pull.
        pull: Who may pull only.
        http_secret: Signs the state of uploads; secret.
    """

    admin: Login
    pull: Login
    http_secret: pulumi.Output[str]

    def __init__(
        self, name: str, args: CredentialsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("registry:index:Credentials", name, None, opts)
        self._child = pulumi.ResourceOptions(parent=self)
        self.admin = self._login(f"{name}-admin", args.admin_user)
        self.pull = self._login(f"{name}-pull", args.pull_user)
        self.http_secret = random.RandomBytes(
            f"{name}-http-secret", length=32, opts=self._child
        ).hex
        self.register_outputs({"admin": self.admin.username, "pull": self.pull.username})

    def _login(self, name: str, username: str) -> Login:
        # 32 letters and digits are 190 bits, and no shell, URL or YAML needs them quoted.
        password = random.RandomPassword(name, length=32, special=False, opts=self._child).result
        # A fresh salt at each run would change the hash, and with it the Secret, at each run:
        # https://github.com/pulumi/pulumi-kubernetes/issues/1954
        salt = random.RandomBytes(f"{name}-salt", length=16, opts=self._child).base64
        line = pulumi.Output.all(user=username, password=password, salt=salt).apply(
            lambda found: htpasswd_line(**found)
        )
        return Login(username=username, password=password, htpasswd=line)
