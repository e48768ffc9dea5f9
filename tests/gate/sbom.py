"""List the Go modules in the sandbox's tools, as CycloneDX.

https://cyclonedx.org/docs/1.6/json/
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from sandbox.build.pinned_tools import TOOLS, TRAEFIK
from tests.gate.workflows import ROOT


def built_from(tool: Path) -> dict[str, Any]:
    """Return what ``go version -m`` says of a binary."""
    result = subprocess.run(
        ["go", "version", "-m", "-json", tool], capture_output=True, text=True, check=True
    )
    built: dict[str, Any] = json.loads(result.stdout)
    return built


def component(module: dict[str, Any]) -> dict[str, str]:
    """Return a module as a component, with the URL by which scanners know it.

    https://github.com/package-url/purl-spec/blob/main/types-doc/golang-definition.md
    """
    used = module.get("Replace", module)
    name, version = used["Path"], used["Version"]
    purl = f"pkg:golang/{name.lower()}@{version.replace('+', '%2B')}"
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


def bill(tools: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the bill of materials of binaries.

    Args:
        tools: What each was built from, by its name.
    """
    components: dict[str, dict[str, str]] = {}
    dependencies = []
    for name, built in sorted(tools.items()):
        modules = [component(x) for x in [built["Main"], *built.get("Deps", [])] if "Sum" in x]
        modules.append(
            component({"Path": "stdlib", "Version": built["GoVersion"].removeprefix("go")})
        )
        components |= {x["bom-ref"]: x for x in modules}
        components[name] = {"type": "application", "bom-ref": name, "name": name}
        dependencies.append({"ref": name, "dependsOn": sorted(x["bom-ref"] for x in modules)})
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "components": [components[x] for x in sorted(components)],
        "dependencies": dependencies,
    }


def main() -> None:
    """Print the bill of the tools that are built."""
    folder = ROOT / ".sandbox" / "tools"
    names = [*(x.name for x in TOOLS), TRAEFIK.name]
    built = {x: built_from(folder / x) for x in names if (folder / x).exists()}
    if not built:
        sys.exit("error: no tool is built yet; to build them: make up")
    json.dump(bill(built), sys.stdout, indent=2)


if __name__ == "__main__":
    main()
