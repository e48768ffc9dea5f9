"""What a resource type of a stand-in plugin is made of, and the ways it can fail."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping
from typing import ClassVar

from sandbox.engine.plugins.wire import UNKNOWN, Properties


class ProviderError(Exception):
    """A failure worth showing to the person who runs Pulumi."""


class PartialError(ProviderError):
    """The resource exists, but is not as it should be: the engine keeps it, and updates it later.

    Args:
        message: What went wrong.
        identifier: The resource's.
        state: What the resource is now.
    """

    def __init__(self, message: str, identifier: str, state: Properties) -> None:
        super().__init__(message)
        self.identifier = identifier
        self.state = state


class Resource(ABC):
    """One resource type: the names of its properties, and what to do with it.

    Args:
        config: The provider's configuration, as the plugin's ``configure`` made it.

    Attributes:
        inputs: Each input with its default; None for no default.
        required: The inputs that must be given.
        outputs: What is computed, and so unknown until the resource exists.
        secret_outputs: Those that the engine encrypts in the state.
        replaces: The inputs whose change takes a new resource.
        autonamed: Whether an absent ``name`` is made of the logical name and a random suffix.
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
        """Name the type as the engine does, like ``random:index/randomBytes:RandomBytes``."""
        name = cls.__name__
        return f"{package}:index/{name[0].lower()}{name[1:]}:{name}"

    @abstractmethod
    def check(self, inputs: Properties) -> Iterable[tuple[str, str]]:
        """Name what is wrong as (property, reason); inputs that hold unknowns are left out."""

    @abstractmethod
    def create(self, inputs: Properties) -> tuple[str, Properties]:
        """Make the resource; give its identifier and state."""

    @abstractmethod
    def read(
        self, identifier: str, state: Properties, inputs: Properties
    ) -> tuple[Properties, Properties] | None:
        """Give the real state, and the inputs that would lead to it; None if it is gone.

        What drifted must show in the inputs: the next diff compares those.
        """

    @abstractmethod
    def update(self, identifier: str, state: Properties, inputs: Properties) -> Properties:
        """Bring the resource from its state to new inputs; give the new state."""

    @abstractmethod
    def delete(self, identifier: str, state: Properties) -> None:
        """Remove the resource."""

    def with_defaults(self, inputs: Properties) -> Properties:
        """Give the inputs, and the defaults of those that are absent."""
        merged = {**self.inputs, **inputs}
        return {key: value for key, value in merged.items() if value is not None}

    def planned(self, inputs: Properties, state: Properties) -> Properties:
        """Foresee the state after an update, or after the creation if there is no state yet."""
        return self.with_defaults(inputs) | {key: state.get(key, UNKNOWN) for key in self.outputs}
