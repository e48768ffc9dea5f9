"""An account with things of somebody else's, and commands that a run finds on its machine."""

from __future__ import annotations

from tests.unit.live.world import world
from tests.unit.sandbox.conftest import api, delays, domains, droplets, iam, keys, spaces
from tests.unit.servers import serve

__all__ = ["api", "delays", "domains", "droplets", "iam", "keys", "serve", "spaces", "world"]
