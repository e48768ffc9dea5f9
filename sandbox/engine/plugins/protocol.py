"""The engine's gRPC protocol, from the SDK's package without its other imports.

Importing `pulumi` takes 0.1 s, and the engine starts one plugin after the other, twice per
`pulumi up`. So this registers its two packages without running their ``__init__``.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType


def _register(package: str, folder: Path) -> None:
    module = ModuleType(package)
    module.__path__ = [str(folder)]
    sys.modules[package] = module


_SPEC = importlib.util.find_spec("pulumi")
if "pulumi" not in sys.modules and _SPEC and _SPEC.origin:
    _register("pulumi", Path(_SPEC.origin).parent)
    _register("pulumi.runtime", Path(_SPEC.origin).parent / "runtime")

from pulumi.runtime.proto import (  # noqa: E402 (the registration above must come first)
    language_pb2,
    language_pb2_grpc,
    plugin_pb2,
    provider_pb2,
    provider_pb2_grpc,
    status_pb2,
)

__all__ = [
    "language_pb2",
    "language_pb2_grpc",
    "plugin_pb2",
    "provider_pb2",
    "provider_pb2_grpc",
    "status_pb2",
]
