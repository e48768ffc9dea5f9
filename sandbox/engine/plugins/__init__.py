"""Stand-ins for the Pulumi plugins that the sandbox cannot build; each start imports this."""

import sys
from types import ModuleType

if "pulumi" not in sys.modules:
    # grpc imports it, which takes 30 ms; no stand-in uses it.
    sys.modules.setdefault("grpc.aio", ModuleType("grpc.aio"))
