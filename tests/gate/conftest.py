"""The program's own resources, for the scanners."""

from __future__ import annotations

from tests.unit.program.conftest import run

__all__ = ["run"]
