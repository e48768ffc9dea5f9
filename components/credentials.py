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
        admin_user: The name to log in with.
    """

    admin_user: str


class Credentials(pulumi.ComponentResource):
    """The admin's password with its hash, and the secret that signs the state of uploads.

    Attributes:
        username: The admin's name.
        password: The admin's password; secret.
        htpasswd: The registry's file of users; secret.
        http_secret: Signs the state of uploads; secret.
    """

    username: str
    password: pulumi.Output[str]
    htpasswd: pulumi.Output[str]
    http_secret: pulumi.Output[str]

    def __init__(
        self, name: str, args: CredentialsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("registry:index:Credentials", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        # 32 letters and digits are 190 bits, and no shell, URL or YAML needs them quoted.
        admin = random.RandomPassword(f"{name}-admin", length=32, special=False, opts=child)
        # A fresh salt at each run would change the hash, and with it the Secret, at each run:
        # https://github.com/pulumi/pulumi-kubernetes/issues/1954
        salt = random.RandomBytes(f"{name}-admin-salt", length=16, opts=child)
        http_secret = random.RandomBytes(f"{name}-http-secret", length=32, opts=child)
        self.username = args.admin_user
        self.password = admin.result
        self.htpasswd = pulumi.Output.all(
            user=args.admin_user, password=admin.result, salt=salt.base64
        ).apply(lambda found: htpasswd_line(**found))
        self.http_secret = http_secret.hex
        self.register_outputs({"username": self.username, "password": self.password})
