"""Deletes all that a run has created, and proves that nothing of it is left.

What is the run's follows from names alone, so that it is found whether or not the response to its
creation ever arrived. Each step is independent of the others.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from live.cloud import Cloud, CloudError, Item
from live.commands import Commands
from live.journal import Journal
from live.names import Run
from live.spaces import Spaces
from live.stack import Stack
from scripts.shared.s3 import Bucket, Key
from settings.credentials import CloudAccess

DROPLET, SSH_KEY, STACK = "droplet", "SSH key", "stack"
"""What a journal says that is about to be created."""

GONE_SECONDS = 120
"""Within which a deleted droplet should not be listed any more."""

LATE_SECONDS = 15
"""After a request without a response, until what it has created is listed."""


@dataclass(frozen=True, kw_only=True)
class Cleaner:
    """What deletes a run.

    Attributes:
        run: The run.
        cloud: The account.
        access: What reaches its Spaces.
        region: The region of the Space.
        say: Tells of a step.
        sleep: Waits for some seconds.
    """

    run: Run
    cloud: Cloud
    access: CloudAccess
    region: str
    say: Callable[[str], None]
    sleep: Callable[[float], None] = time.sleep

    def clean(self, journal: Journal | None, commands: Commands | None) -> list[str]:
        """Delete all that is the run's, and return what is left, or may be.

        Args:
            journal: The run's journal, if it is on this machine.
            commands: What runs its commands.
        """
        if journal and any(
            journal.began(x) and x not in journal.facts() for x in (DROPLET, SSH_KEY)
        ):
            self.sleep(LATE_SECONDS)
        left: list[str] = []
        if journal and commands:
            left += self._clean_cluster(journal, Stack(journal, commands), commands)
        for what, delete in (
            ("the droplet", self._delete_droplets),
            # After the droplet, on which nothing writes to the Space any more.
            ("the Space", lambda: self._delete_spaces(journal)),
            ("the Spaces keys", self._delete_spaces_keys),
            ("the SSH key", self._delete_ssh_keys),
            ("the tag", self._delete_tag),
        ):
            left += self._try(what, delete)
        try:
            return left + list(self._left())
        except CloudError as error:
            return [*left, f"what is left in the account is unknown: {error}"]

    def _clean_cluster(self, journal: Journal, stack: Stack, commands: Commands) -> list[str]:
        failed = self._try("what is in the stack", stack.destroy) if stack.exists else []
        stack.forget()
        if "cluster" in journal.facts():
            return failed + self._try(
                "the namespace", lambda: self._delete_namespace(stack, commands)
            )
        # The cluster goes with the droplet, and the Space and its keys are found by name.
        return []

    def _try(self, what: str, delete: Callable[[], None]) -> list[str]:
        """Return why something could not be deleted, if so."""
        self.say(f"deleting {what}")
        try:
            delete()
        except Exception as error:  # noqa: BLE001 - the other steps follow, whatever it is
            self.say(f"deleting {what} failed: {error or type(error).__name__}")
            return [f"{what}: {str(error).partition(chr(10))[0] or type(error).__name__}"]
        return []

    def _left(self) -> Iterator[str]:
        for droplet in self._droplets():
            yield f"a droplet: doctl compute droplet delete {droplet['id']}"
        for key in self._ssh_keys():
            yield f"an SSH key: doctl compute ssh-key delete {key['id']}"
        if self._has_tag():
            yield f"a tag: doctl compute tag delete {self.run.name}"
        for key in self._spaces_keys():
            yield f"a Spaces key: doctl spaces keys delete {key['access_key']}"

    def _droplets(self) -> list[Item]:
        return [x for x in self.cloud.droplets() if self.run.has_droplet(x)]

    def _ssh_keys(self) -> list[Item]:
        return [x for x in self.cloud.ssh_keys() if x["name"] == self.run.name]

    def _spaces_keys(self) -> list[Item]:
        return [x for x in self.cloud.spaces_keys() if self.run.has_spaces_key(x["name"])]

    def _has_tag(self) -> bool:
        return self.run.name in [x["name"] for x in self.cloud.tags()]

    def _delete_namespace(self, stack: Stack, commands: Commands) -> None:
        """Delete the run's namespace in the user's own cluster."""
        delete = ("kubectl", "delete", "namespace", self.run.name, "--ignore-not-found")
        commands.run(*delete, env=stack.environment, seconds=300)

    def _delete_droplets(self) -> None:
        """Delete the run's droplets, one by one: others may have got its tag."""
        deadline = time.monotonic() + GONE_SECONDS
        while droplets := self._droplets():
            for droplet in droplets:
                self.cloud.delete(f"v2/droplets/{droplet['id']}")
            if time.monotonic() > deadline:
                raise TimeoutError(f"it is still listed after {GONE_SECONDS} s")
            self.sleep(1)

    def _delete_spaces(self, journal: Journal | None) -> None:
        """Delete the run's Spaces, with a key that lives as long as that takes."""
        if journal and not journal.began(STACK):
            return
        # What an earlier try has left: a secret is in no list.
        for key in self._spaces_keys():
            if key["name"] == self.run.cleaning_key:
                self.cloud.delete(f"v2/spaces/keys/{key['access_key']}")
        key = self.cloud.create_spaces_key(self.run.cleaning_key)
        endpoint = self.access.spaces_endpoint.replace("{{.Region}}", self.region)
        pair = Key(key["access_key"], key["secret_key"])
        account = Bucket(endpoint, self.region, name="", path_style=True, key=pair)
        spaces = Spaces(account, self.run, self.sleep)
        for name in spaces.names():
            self.say(f"the Space {name} is left")
            spaces.delete(name)
        if names := spaces.names():
            raise TimeoutError(f"{', '.join(names)}: still listed")

    def _delete_spaces_keys(self) -> None:
        for key in self._spaces_keys():
            self.cloud.delete(f"v2/spaces/keys/{key['access_key']}")

    def _delete_ssh_keys(self) -> None:
        for key in self._ssh_keys():
            self.cloud.delete(f"v2/account/keys/{key['id']}")

    def _delete_tag(self) -> None:
        if self._has_tag():
            self.cloud.delete(f"v2/tags/{self.run.name}")
