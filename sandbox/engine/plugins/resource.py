"""The interface of a resource type of a stand-in plugin, and its errors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping
from typing import ClassVar

from sandbox.engine.plugins.wire import UNKNOWN, Properties


class ProviderError(Exception):
    """An error for the person who runs Pulumi."""


class PartialError(ProviderError):
    """The resource exists, but incomplete: the engine keeps it, and updates it later.

    Args:
        message: What failed.
        identifier: The resource's ID.
        state: The resource's state now.
    """

    def __init__(self, message: str, identifier: str, state: Properties) -> None:
        super().__init__(message)
        self.identifier = identifier
        self.state = state


class Resource(ABC):
    """One resource type: its properties and its operations.

    Args:
        config: The provider's configuration, from the plugin's ``configure``.

    Attributes:
        inputs: Each input with its default; None for no default.
        required: The inputs without which ``check`` fails.
        outputs: The computed properties, unknown until the resource exists.
        secret_outputs: The outputs that the engine encrypts in the state.
        replaces: The inputs whose change replaces the resource.
        autonamed: Whether an absent ``name`` becomes the logical name with a random suffix.
    """

    inputs: ClassVar[Mapping[str, object]]
    required: ClassVar[Collection[str]] = frozenset()
    outputs: ClassVar[Collection[str]]
    secret_outputs: ClassVar[Collection[str]] = frozenset()
    replaces: ClassVar[Collection[str]] = frozenset()
    autonamed: ClassVar[bool] = False

    def __init__(self, config: Mapping[str, str]) -> None:
        self.config = config

    @classmethod
    def token(cls, package: str) -> str:
        """Return the type's token, such as ``random:index/randomBytes:RandomBytes``."""
        name = cls.__name__
        return f"{package}:index/{name[0].lower()}{name[1:]}:{name}"

    @abstractmethod
    def check(self, inputs: Properties) -> Iterable[tuple[str, str]]:
        """Yield each failure as (property, reason); ``inputs`` has no unknown values."""

    @abstractmethod
    def create(self, inputs: Properties) -> tuple[str, Properties]:
        """Create the resource; return its ID and state."""

    @abstractmethod
    def read(
        self, identifier: str, state: Properties, inputs: Properties
    ) -> tuple[Properties, Properties] | None:
        """Return the real state and the inputs that lead to it; None if the resource is gone.

        Drift must show in the inputs, since the next diff compares inputs.
        """

    @abstractmethod
    def update(self, identifier: str, state: Properties, inputs: Properties) -> Properties:
        """Update the resource to new inputs; return its new state."""

    @abstractmethod
    def delete(self, identifier: str, state: Properties) -> None:
        """Delete the resource."""

    def with_defaults(self, inputs: Properties) -> Properties:
        """Return the inputs, completed with defaults."""
        merged = {**self.inputs, **inputs}
        return {key: value for key, value in merged.items() if value is not None}

    def planned(self, inputs: Properties, state: Properties) -> Properties:
        """Return the expected state after an update, or after a creation if ``state`` is empty."""
        return self.with_defaults(inputs) | {key: state.get(key, UNKNOWN) for key in self.outputs}
