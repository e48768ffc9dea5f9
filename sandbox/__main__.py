"""The sandbox's command line: `python -m sandbox --help`."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from sandbox import lifecycle, pki
from sandbox.build import debian, images, toolchain
from sandbox.cloud import acme, docker_io, spaces
from sandbox.engine import engine
from sandbox.layout import Layout
from sandbox.progress import say, step

ROOT = Path(__file__).parent.parent

WAIT_SECONDS = 60
"""For the ingress controller to take up a new route and certificate; it takes seconds."""

ERRORS = (
    debian.PackagesMissingError,
    toolchain.ToolchainError,
    lifecycle.SandboxError,
    engine.EngineError,
    subprocess.CalledProcessError,
)
"""What says by itself what is wrong and how to go on."""


def up(layout: Layout) -> None:
    """Bring up everything, ending with a registry that is proven from this machine."""
    start = time.monotonic()
    debian.install()
    toolchain.build(layout.tools)
    images.build(layout.tools)
    lifecycle.up(layout, [x for part in (spaces, docker_io, acme) for x in part.processes(layout)])
    _fill_docker_io(layout)
    engine.prepare(layout)
    with step("pulumi up"):
        engine.up(layout)
    _hand_over_certificate(layout)
    prove(layout)
    say(f"\nThe registry is up and proven, after {time.monotonic() - start:.0f} s. To log in:\n")
    say('  eval "$(make -s env)"')
    say(f"  {engine.outputs(layout)['login']}\n")


def down(layout: Layout) -> None:
    """Stop everything; images and state stay for the next `up`."""
    engine.end(layout)
    lifecycle.down(layout)
    if engine.never_succeeded(layout):
        say("the first update was interrupted: what it left half-made is removed")
        _forget(layout)


def wipe(layout: Layout) -> None:
    """Stop everything and delete all that this sandbox kept, but for the built tools."""
    engine.end(layout)
    lifecycle.down(layout)
    _forget(layout)


def status(layout: Layout) -> None:
    """Tell what runs; the exit status is 1 if the sandbox is down."""
    if not lifecycle.is_up(layout):
        sys.exit(f"{layout.name}: down; `make up` starts it")
    say(f"{layout.name}: up; registry https://{layout.hostname}, logs in {layout.logs}")
    _kubectl(layout, "get", "pods", "--all-namespaces")


def logs(layout: Layout) -> None:
    """Show the end of each process's log."""
    for path in sorted(layout.logs.glob("*.log")):
        say(f"==> {path.name}")
        say("\n".join(path.read_text(errors="replace").splitlines()[-20:]))


def env(layout: Layout) -> None:
    """Print what a shell needs; use it as: eval "$(make -s env)"."""
    for name, value in engine.environment(layout).items():
        say(f"export {name}={shlex.quote(value)}")


def shell(layout: Layout) -> None:
    """Start a shell in which `pulumi`, `kubectl` and `crane` use the sandbox."""
    program = os.environ.get("SHELL", "/bin/sh")
    os.execve(program, [program], os.environ | engine.environment(layout))  # noqa: S606 - the user's own shell


def prove(layout: Layout) -> None:
    """Prove the registry from this machine, through DNS, TLS and ingress."""
    outputs = engine.outputs(layout)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "jobs.prove", f"https://{layout.hostname}"),
            *(
                "--username",
                outputs["username"],
                "--password-file",
                "-",
                "--wait",
                str(WAIT_SECONDS),
            ),
        ],
        cwd=ROOT,
        input=outputs["password"],
        env=os.environ | engine.environment(layout),
        text=True,
        check=False,
    )
    if done.returncode:
        raise engine.EngineError(f"https://{layout.hostname} is not proven")


COMMANDS: dict[str, Callable[[Layout], None]] = {
    command.__name__: command for command in (up, down, status, logs, env, shell, prove, wipe)
}


def _fill_docker_io(layout: Layout) -> None:
    """Put the seed's image where a pull from docker.io finds it."""
    target = (
        f"docker://{layout.docker_io_endpoint.removeprefix('http://')}/containous/whoami:latest"
    )
    source = f"oci-archive:{images.archive_path(layout.tools, 'whoami')}"
    copied = subprocess.run(
        ["skopeo", "copy", "--quiet", "--dest-tls-verify=false", source, target],
        capture_output=True,
        text=True,
        check=False,
    )
    if copied.returncode:
        raise lifecycle.SandboxError(f"docker.io's stand-in takes no image: {copied.stderr}")


def _hand_over_certificate(layout: Layout) -> None:
    """Make the Secret that the program expects, as a user with a certificate does."""
    certificate, key = pki.issue(layout.pki, "registry", dns=[layout.hostname])
    secret = _kubectl(
        layout,
        *("create", "secret", "tls", "registry-tls", "--namespace=registry"),
        *(f"--cert={certificate}", f"--key={key}", "--dry-run=client", "--output=yaml"),
        capture=True,
    )
    _kubectl(layout, "apply", "--server-side", "--filename=-", given=secret, capture=True)


def _kubectl(layout: Layout, *arguments: str, given: str = "", capture: bool = False) -> str:
    """Run kubectl, and answer what it says if that is captured."""
    done = subprocess.run(
        [layout.tools / "kubectl", *arguments],
        env=os.environ | engine.environment(layout),
        input=given,
        stdout=subprocess.PIPE if capture else None,
        text=True,
        check=True,
    )
    return done.stdout or ""


def _forget(layout: Layout) -> None:
    shutil.rmtree(layout.state, ignore_errors=True)
    engine.stack_file(layout).unlink(missing_ok=True)


def main() -> None:
    """Run one command."""
    parser = argparse.ArgumentParser(
        prog="python -m sandbox",
        description="A sandbox of real parts for the private container registry.",
        epilog="What is real in it and what stands in: README.md",
    )
    parser.add_argument(
        "--name", default="sandbox", help="which sandbox: sandbox (default), or sandbox-<anything>"
    )
    subparsers = parser.add_subparsers(dest="command", required=True)
    for name, command in COMMANDS.items():
        subparsers.add_parser(name, help=command.__doc__, description=command.__doc__)
    given = parser.parse_args()
    if given.name != "sandbox" and not given.name.startswith("sandbox-"):
        parser.error(f"--name {given.name}: expected sandbox, or sandbox-<anything>")
    if os.geteuid() != 0:
        sys.exit("error: a node with its own namespaces and mounts needs root: sudo make ...")
    try:
        COMMANDS[given.command](lifecycle.claim(ROOT, given.name))
    except ERRORS as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
