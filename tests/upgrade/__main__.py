"""Upgrade a registry from one revision to this one: images that were pushed before still pull.

Both revisions run in a sandbox of a checkout of its own, below .sandbox/upgrade, as `make up` there
does. Only what is committed is compared.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from sandbox import lifecycle
from sandbox.build import images, toolchain
from sandbox.engine import engine
from sandbox.layout import Layout

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".sandbox" / "upgrade"
PREVIEW = ROOT / ".sandbox" / "upgrade-preview.txt"
"""What `pulumi preview` says of the upgrade, for the review of a pull request."""

KEPT = {".sandbox", "venv", "Pulumi.sandbox.yaml"}
"""What a user's checkout keeps when it changes to another revision."""


def base_revision(requested: str | None) -> str:
    """Return the revision to upgrade from, and say which it is.

    Args:
        requested: The revision that the user asks for; None for the last release.
    """
    if requested:
        print(f"upgrading from {requested}")
        return requested
    tag = subprocess.run(
        # Not that of this commit, which would be upgraded to itself.
        ["git", "describe", "--tags", "--abbrev=0", "--match=v*", "HEAD^1"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    ).stdout.strip()  # fmt: skip
    print(
        f"upgrading from the last release, {tag}"
        if tag
        else "there is no release yet: upgrading from the commit before this one; "
        "to compare with another: make upgrade BASE=<revision>"
    )
    return tag or "HEAD^1"


def check_out(revision: str) -> None:
    """Replace the files of the checkout by those of a revision."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path in FOLDER.iterdir():
        if path.name not in KEPT:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    # Not `git archive`, which leaves out what is not for users. Files have the time of now, so that
    # make installs what another revision requires.
    with tempfile.TemporaryDirectory() as folder:
        index = os.environ | {"GIT_INDEX_FILE": f"{folder}/index"}
        for command in (
            ["read-tree", revision],
            ["checkout-index", "--all", f"--prefix={FOLDER}/"],
        ):
            subprocess.run(["git", *command], cwd=ROOT, env=index, check=True)


def make(target: str) -> None:
    """Run a target of the checkout's own Makefile."""
    subprocess.run(["make", "--no-print-directory", target], cwd=FOLDER, check=True)


def run(layout: Layout, *command: str, stdin: str = "") -> str:
    """Run a client in the sandbox's environment, and return its output."""
    result = subprocess.run(
        command,
        cwd=FOLDER,
        env=engine.environment(layout),
        input=stdin,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return result.stdout


def push(layout: Layout) -> str:
    """Push an image, and return its reference by digest."""
    repository = f"{layout.hostname}/upgrade/whoami"
    login = ["crane", "auth", "login", layout.hostname, "--username=admin", "--password-stdin"]
    run(layout, *login, stdin=engine.outputs(layout)["password"])
    archive = images.archive_path(layout.tools, "whoami")
    run(layout, "skopeo", "copy", f"oci-archive:{archive}", f"docker://{repository}:1")
    return f"{repository}@{run(layout, 'crane', 'digest', f'{repository}:1').strip()}"


def upgrade(base: str) -> None:
    """Bring up the base, push, bring up this revision, pull."""
    tools = ROOT / ".sandbox" / "tools"
    if tools.exists():
        shutil.copytree(tools, FOLDER / ".sandbox" / "tools", symlinks=True, dirs_exist_ok=True)
    check_out(base)
    make("up")
    layout = lifecycle.claim(FOLDER, "sandbox")
    image = push(layout)
    check_out("HEAD")
    make("venv")
    toolchain.build(layout.tools)
    engine.prepare(layout)
    # The sandbox has images of its own, also for what earlier revisions did not run.
    run(layout, "pulumi", "config", "set", "--path", "registry.proxyImage", images.CADDY)
    PREVIEW.write_text(run(layout, "pulumi", "preview", "--policy-pack=policy", "--color=never"))
    print(PREVIEW.read_text())
    # The node has only the images that there were when it started.
    make("down")
    make("up")
    run(layout, "crane", "validate", f"--remote={image}")
    run(layout, "pulumi", "preview", "--expect-no-changes", "--policy-pack=policy")
    print(f"{image} was pushed before the upgrade and pulls after it")


def main() -> None:
    """Run the upgrade; a sandbox that failed stays, for a look at it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", metavar="REVISION", help="what to upgrade from")
    base = base_revision(parser.parse_args().base)
    if (FOLDER / "Makefile").exists():
        make("wipe")
        shutil.rmtree(FOLDER)
    try:
        upgrade(base)
    except subprocess.CalledProcessError as error:
        print(error.stdout or "")
        sys.exit(f'error: {error}\nto look at it: cd {FOLDER} && eval "$(make -s env)"')
    make("wipe")
    shutil.rmtree(FOLDER)


if __name__ == "__main__":
    main()
