"""The engine's protocol, as the SDK's package brings it, without the SDK around it.

Importing `pulumi` takes 0.1 s, and the engine starts one plugin after the other, twice a
`pulumi up`. So its two packages are entered here without running what they import.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType


def _enter(package: str, folder: Path) -> None:
    module = ModuleType(package)
    module.__path__ = [str(folder)]
    sys.modules[package] = module


_SPEC = importlib.util.find_spec("pulumi")
if "pulumi" not in sys.modules and _SPEC and _SPEC.origin:
    _enter("pulumi", Path(_SPEC.origin).parent)
    _enter("pulumi.runtime", Path(_SPEC.origin).parent / "runtime")

from pulumi.runtime.proto import (  # noqa: E402 - this is what the above is for
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
