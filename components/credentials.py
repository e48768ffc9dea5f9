"""Users of the registry and its HTTP secret: random, generated once and kept in the state."""

from __future__ import annotations

import string
from dataclasses import dataclass

import bcrypt
import pulumi
import pulumi_random as random

BCRYPT_COST = 5
"""The registry caches no verified passwords and hashes at every request: 2 ms at cost 5, 52 ms at
cost 10. With random passwords of 190 bits nothing is lost, and an unknown user takes as long as a
known one, since the registry's dummy hash has this cost too:
https://github.com/distribution/distribution/blob/v3.1.2/registry/auth/htpasswd/htpasswd.go"""

_BASE64 = string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/"
_BCRYPT_BASE64 = "./" + string.ascii_uppercase + string.ascii_lowercase + string.digits
"""bcrypt has its own order of base64 digits: https://man.openbsd.org/crypt_checkpass.3"""


@dataclass(frozen=True, kw_only=True)
class CredentialsArgs:
    """Whom to generate credentials for.

    Attributes:
        admin_user: The name of the user who may push and pull.
        pull_user: The name of the user who may only pull.
    """

    admin_user: str
    pull_user: str


@dataclass(frozen=True, kw_only=True)
class RegistryUser:
    """A user of the registry.

    Attributes:
        username: The name to log in with.
        password: The password; secret.
        htpasswd: The user's htpasswd line; secret.
    """

    username: str
    password: pulumi.Output[str]
    htpasswd: pulumi.Output[str]


class Credentials(pulumi.ComponentResource):
    """The registry's users, and the secret that signs the state of uploads.

    Attributes:
        admin: The user who may push and pull.
        pull: The user who may only pull.
        http_secret: Signs the state of uploads; secret.
    """

    admin: RegistryUser
    pull: RegistryUser
    http_secret: pulumi.Output[str]

    def __init__(
        self, name: str, args: CredentialsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("registry:index:Credentials", name, None, opts)
        self._child = pulumi.ResourceOptions(parent=self)
        self.admin = self._user(f"{name}-admin", args.admin_user)
        self.pull = self._user(f"{name}-pull", args.pull_user)
        self.http_secret = random.RandomBytes(
            f"{name}-http-secret", length=32, opts=self._child
        ).hex
        self.register_outputs(
            {
                "admin_password": self.admin.password,
                "pull_password": self.pull.password,
                "http_secret": self.http_secret,
            }
        )

    def _user(self, name: str, username: str) -> RegistryUser:
        # 32 letters and digits are 190 bits, and no shell, URL or YAML needs them quoted.
        generated = random.RandomPassword(name, length=32, special=False, opts=self._child)
        password: pulumi.Output[str] = pulumi.Output.secret(generated.result)
        # A fresh salt at each run would change the hash, and with it the Secret, at each run:
        # https://github.com/pulumi/pulumi-kubernetes/issues/1954
        salt = random.RandomBytes(f"{name}-salt", length=16, opts=self._child).base64
        line = pulumi.Output.all(user=username, password=password, salt=salt).apply(
            lambda args: htpasswd_line(**args)
        )
        return RegistryUser(username=username, password=password, htpasswd=line)


def htpasswd_line(user: str, password: str, salt: str) -> str:
    """Return one user's line of an htpasswd file; equal arguments give the same line.

    Args:
        user: The name to log in with; without a colon.
        password: At most 72 bytes: bcrypt ignores what follows.
        salt: 16 random bytes in base64.
    """
    digits = salt.rstrip("=").translate(str.maketrans(_BASE64, _BCRYPT_BASE64))
    hashed = bcrypt.hashpw(password.encode(), f"$2b${BCRYPT_COST:02}${digits}".encode())
    return f"{user}:{hashed.decode()}\n"
