"""The host of the component, for `pulumi package add`.

https://www.pulumi.com/docs/iac/guides/building-extending/components/packaging-components/
"""

import sys
from pathlib import Path

# The program is beside this folder, which alone is on the path.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pulumi.provider.experimental import component_provider_host

from package.private_registry import PACKAGE, PrivateRegistry

if __name__ == "__main__":
    component_provider_host(name=PACKAGE, components=[PrivateRegistry])
