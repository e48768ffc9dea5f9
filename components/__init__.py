"""The components of a private container registry; a program uses the first.

Garbage collection is off from here on: the SDKs are a million objects that stay until the end of
a run of seconds, and looking for garbage among them takes a quarter of a preview's time.
"""

import atexit
import gc

gc.disable()
atexit.register(gc.freeze)  # The interpreter collects once more when it ends.

from components.private_registry import PrivateRegistry, PrivateRegistryArgs

__all__ = ["PrivateRegistry", "PrivateRegistryArgs"]
