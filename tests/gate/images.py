"""Compare the tags of the default images with the digests that they had when somebody looked."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterable, Mapping

from settings.scan import ScanSettings
from settings.schema import RegistrySettings, ScriptsSettings
from tests.gate.workflows import ROOT

IMAGES = (
    *(RegistrySettings().image, RegistrySettings().proxy_image),
    *(ScriptsSettings().image, ScanSettings().image),
)


def digest(image: str) -> str:
    """Return the digest that a tag leads to now, of all platforms together.

    Raises:
        OSError: If its registry is not reached.
    """
    result = subprocess.run(
        [ROOT / ".sandbox/tools/crane", "digest", image],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if result.returncode:
        raise OSError(result.stderr.strip())
    return result.stdout.strip()


def report(
    images: Iterable[str], recorded: Mapping[str, str], current: Callable[[str], str]
) -> tuple[list[str], bool]:
    """Return a line for each image, and whether all are as recorded.

    Args:
        images: The images, by tag.
        recorded: The recorded digest of each image.
        current: Returns the digest of an image now.
    """
    lines, same = [], True
    for image in images:
        known = recorded.get(image)
        try:
            now = current(image)
        except (OSError, subprocess.TimeoutExpired) as error:
            lines.append(f"{image}: not reached: {error}")
            same = False
            continue
        if now == known:
            lines.append(f"{image}: {now}, as recorded")
            continue
        same = False
        state = f"was {known}" if known else "is not recorded"
        lines.append(f'{image}: {state}; to record it: "{image}" = "{now}"')
    return lines, same


def main() -> None:
    """Compare all images; the exit status is 1 if one is not as recorded, or not reached."""
    recorded = tomllib.loads((ROOT / "tests/gate/images.toml").read_text())
    lines, same = report(IMAGES, recorded, digest)
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.exit(0 if same else 1)


if __name__ == "__main__":
    main()
