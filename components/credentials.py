"""Users of the registry and its HTTP secret: random, generated once and kept in the state."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pulumi
import pulumi_random as random
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from settings.names import SMOKE_TEST_USER
from settings.schema import UserSettings

PASSWORD_HASH_PARAMETERS = "$argon2id$v=19$m=8,t=1,p=1"  # noqa: S105 - no password
"""How the hash of a password starts: Argon2id at its least cost (RFC 9106, section 3.1). Passwords
are random, of 190 bits: a slow hash would add nothing to them, but to each request."""

SMOKE_TEST_REPOSITORY = "smoke-test"
"""The one repository of the smoke test, as in scripts/client/smoke_test.py."""


MAINTENANCE_USER = "maintenance"
"""The only user of a port of its own, so it may have the name of another user."""


@dataclass(frozen=True, kw_only=True)
class CredentialsArgs:
    """Whom to generate credentials for; the passwords before `rotation` stay valid, too."""

    admin_user: str
    pull_user: str
    users: Mapping[str, UserSettings]
    rotation: int
    read_only: bool


@dataclass(frozen=True, kw_only=True)
class RegistryUser:
    """A user of the registry.

    Attributes:
        password_hash: The password's hash, as a PHC string; secret.
        previous_hash: That of the password of the generation before, empty for none; secret.
        push: The repositories that the user may push to and delete from; ``*`` at the end of one
            stands for anything.
        pull: The repositories that the user may pull from; those of `push` are among them.
        ends: When the login ends, in seconds since 1970; None for never.
    """

    username: str
    password: pulumi.Output[str]
    password_hash: pulumi.Output[str]
    previous_hash: pulumi.Input[str]
    push: Sequence[str]
    pull: Sequence[str]
    ends: int | None = None


class Credentials(pulumi.ComponentResource):
    """The registry's users, and the secret that signs the state of uploads."""

    admin: RegistryUser
    pull: RegistryUser
    smoke_test: RegistryUser
    maintenance: RegistryUser
    named: Sequence[RegistryUser]
    http_secret: pulumi.Output[str]

    def __init__(
        self, name: str, args: CredentialsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("registry:index:Credentials", name, None, opts)
        self._child = pulumi.ResourceOptions(parent=self)
        self._rotation = args.rotation
        self.admin = self._user(f"{name}-admin", args.admin_user, push=["*"], pull=["*"])
        self.pull = self._user(f"{name}-pull", args.pull_user, push=[], pull=["*"])
        self.named = [
            replace(
                self._user(f"{name}-user-{username}", username, push=user.push, pull=user.pull),
                ends=user.ends,
            )
            for username, user in args.users.items()
        ]
        generation = {"generation": str(args.rotation)}
        self.maintenance = self._user(
            f"{name}-maintenance", MAINTENANCE_USER, push=[], pull=[], keepers=generation
        )
        # Its password changes with all others and with what they may do: once the registry knows
        # that, it knows all.
        others = [self.admin, self.pull, self.maintenance, *self.named]
        self.smoke_test = self._user(
            f"{name}-smoke-test",
            SMOKE_TEST_USER,
            push=[SMOKE_TEST_REPOSITORY],
            pull=[SMOKE_TEST_REPOSITORY],
            keepers={"users": users_checksum(others, args.read_only)},
        )
        self.http_secret = random.RandomBytes(
            f"{name}-http-secret", length=32, opts=self._child
        ).hex
        self.register_outputs(
            {
                "admin_password": self.admin.password,
                "pull_password": self.pull.password,
                "smoke_test_password": self.smoke_test.password,
                "maintenance_password": self.maintenance.password,
                "passwords": {user.username: user.password for user in self.named},
                "http_secret": self.http_secret,
            }
        )

    @property
    def all(self) -> Sequence[RegistryUser]:
        """Everybody who may log in to the registry."""
        return [self.admin, self.pull, self.smoke_test, *self.named]

    def _user(
        self,
        name: str,
        username: str,
        *,
        push: Sequence[str],
        pull: Sequence[str],
        keepers: Mapping[str, pulumi.Input[str]] | None = None,
    ) -> RegistryUser:
        """Create a user; without keepers, the password of the generation before is valid, too."""
        rotation = 1 if keepers else self._rotation
        password, password_hash = self._password(_generation(name, rotation), keepers)
        previous: pulumi.Input[str] = ""
        if rotation > 1:
            _, previous = self._password(_generation(name, rotation - 1))
        return RegistryUser(
            username=username,
            password=password,
            password_hash=password_hash,
            previous_hash=previous,
            push=push,
            pull=pull,
        )

    def _password(
        self, name: str, keepers: Mapping[str, pulumi.Input[str]] | None = None
    ) -> tuple[pulumi.Output[str], pulumi.Output[str]]:
        """Create a password, and return it with its hash."""
        # 32 letters and digits are 190 bits, and no shell, URL or YAML needs them quoted.
        generated = random.RandomPassword(
            name, length=32, special=False, keepers=keepers, opts=self._child
        )
        password: pulumi.Output[str] = pulumi.Output.secret(generated.result)
        # A fresh salt at each run would change the hash, and with it the Secret, at each run:
        # https://github.com/pulumi/pulumi-kubernetes/issues/1954
        salt = random.RandomBytes(f"{name}-salt", length=16, opts=self._child).base64
        hashed = pulumi.Output.all(password=password, salt=salt).apply(
            lambda args: hash_password(**args)
        )
        return password, hashed


def _generation(name: str, number: int) -> str:
    return name if number == 1 else f"{name}-{number}"


def users_checksum(users: Sequence[RegistryUser], read_only: bool) -> pulumi.Output[str]:
    """Return a checksum of all users' names, rights, ends and password hashes."""
    rights = [(user.username, user.push, user.pull, user.ends) for user in users]
    hashes = [part for user in users for part in (user.password_hash, user.previous_hash)]
    return pulumi.Output.all(*hashes).apply(
        lambda known: hashlib.sha256(json.dumps([rights, known, read_only]).encode()).hexdigest()
    )


def hash_password(password: str, salt: str) -> str:
    """Return a password's hash as a PHC string; the same for the same salt, in base64."""
    algorithm = Argon2id(
        salt=base64.b64decode(salt), length=32, iterations=1, lanes=1, memory_cost=8
    )
    return algorithm.derive_phc_encoded(password.encode())
