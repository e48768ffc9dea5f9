"""The sandbox's command line: `python -m sandbox --help`."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, NoReturn

from sandbox import lifecycle, pki
from sandbox.build import debian, image_store, images, toolchain
from sandbox.build.pinned_tools import TOOLS
from sandbox.cloud import acme, docker_io, spaces
from sandbox.engine import engine
from sandbox.kube_api import KubeApi
from sandbox.layout import Layout
from sandbox.lock import exclusive
from sandbox.progress import say, step

ROOT = Path(__file__).parent.parent

WAIT_SECONDS = 60
"""For the ingress controller to load a new route and certificate; it takes seconds."""

_POLL_SECONDS = 0.2
"""Between two looks for the registry's namespace, into which the certificate goes."""

ERRORS = (
    debian.PackagesMissingError,
    toolchain.ToolchainError,
    lifecycle.SandboxError,
    engine.EngineError,
    subprocess.CalledProcessError,
)
"""Errors whose message says what is wrong and how to go on."""


_FIRST_RUN = """\
The first run takes about {minutes} minutes on {cores} cores: it builds Kubernetes, Pulumi, the
registry and other tools from their sources. It fills Go's caches with about 10 GB, installs
missing Debian packages, and adds a network interface, a cgroup and lines in /etc/hosts; `make down`
removes these.
"""


def up(layout: Layout) -> None:
    """Bring up everything, ending with a smoke test of the registry from this machine."""
    start = time.monotonic()
    if not layout.tools.exists():
        cores = os.cpu_count() or 1
        minutes = round(sum(x.cpu_seconds for x in TOOLS) / cores / 60)
        say(_FIRST_RUN.format(minutes=minutes, cores=cores))
    debian.install()
    toolchain.build(layout.tools)
    images.build(layout.tools)
    image_store.build(layout.tools)
    cloud = [x for part in (spaces, docker_io, acme) for x in part.processes(layout)]
    with ThreadPoolExecutor() as pool:
        prepared = pool.submit(engine.prepare, layout)
        lifecycle.up(layout, cloud)
        prepared.result()
    _fill_docker_io(layout)
    with step("pulumi up"), _tls_secret(layout):
        engine.up(layout)
    outputs = engine.outputs(layout)
    _smoke_test(layout, outputs)
    say(f"\nThe registry is up and tested, after {time.monotonic() - start:.0f} s. To log in:\n")
    say('  eval "$(make -s env)"')
    say(f"  {outputs['login']}\n")


def down(layout: Layout) -> None:
    """Stop everything; images and state stay for the next `up`."""
    engine.kill(layout)
    lifecycle.down(layout)
    if engine.never_succeeded(layout):
        say("the first update was interrupted: deleting what it left incomplete")
        _forget(layout)


def wipe(layout: Layout) -> None:
    """Stop everything and delete all that this sandbox kept, except the built tools."""
    engine.kill(layout)
    lifecycle.down(layout)
    _forget(layout)


def status(layout: Layout) -> None:
    """Show what runs; the exit status is 1 if the sandbox is down."""
    _require_up(layout)
    say(f"{layout.name}: up; registry https://{layout.hostname}, logs in {layout.logs}")
    _kubectl(layout, "get", "pods", "--all-namespaces")


def logs(layout: Layout) -> None:
    """Show the end of each process's log."""
    for path in sorted(layout.logs.glob("*.log")):
        say(f"==> {path.name}")
        say("\n".join(path.read_text(errors="replace").splitlines()[-20:]))


def env(layout: Layout) -> None:
    """Print the environment for a shell; use it as: eval "$(make -s env)"."""
    _require_up(layout)
    say(engine.shell_commands(layout))


def shell(layout: Layout) -> None:
    """Start a shell in which `pulumi`, `kubectl` and `crane` use the sandbox."""
    _become(layout, os.environ.get("SHELL", "/bin/sh"))


def preview(layout: Layout) -> None:
    """Run `pulumi preview` on the sandbox's stack."""
    _become(layout, str(layout.tools / "pulumi"), "preview")


def destroy(layout: Layout) -> None:
    """Run `pulumi destroy` on the sandbox's stack."""
    _become(layout, str(layout.tools / "pulumi"), "destroy")


def smoke_test(layout: Layout) -> None:
    """Test the registry from this machine, through DNS, TLS and ingress."""
    _require_up(layout)
    _smoke_test(layout, engine.outputs(layout))


def _smoke_test(layout: Layout, outputs: Mapping[str, Any]) -> None:
    result = subprocess.run(
        [
            *(sys.executable, "-m", "scripts.client.smoke_test", f"https://{layout.hostname}"),
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
        env=engine.environment(layout),
        text=True,
        check=False,
    )
    if result.returncode:
        raise engine.EngineError(f"the smoke test of https://{layout.hostname} failed")


def doctor(layout: Layout) -> None:
    """Show what is wrong with the registry, and the commands that fix it."""
    _become(layout, sys.executable, "-m", "scripts.client.doctor")


_CHANGING = (up, down, wipe)
"""Commands of which only one at a time may run for a sandbox."""

_USING = (status, logs, env, shell, preview, destroy, smoke_test, doctor)

COMMANDS: dict[str, Callable[[Layout], None]] = {
    command.__name__.replace("_", "-"): command for command in (*_CHANGING, *_USING)
}


def _require_up(layout: Layout) -> None:
    if not lifecycle.is_up(layout):
        raise lifecycle.SandboxError(f"{layout.name} is down; to start it: make up")


def _become(layout: Layout, *command: str) -> NoReturn:
    """Replace this process by a command that uses the sandbox."""
    _require_up(layout)
    os.chdir(layout.root)
    os.execve(command[0], command, engine.environment(layout))  # noqa: S606 (no shell on purpose)


def _fill_docker_io(layout: Layout) -> None:
    """Push the image of the seed's story to where a pull from docker.io finds it."""
    target = (
        f"docker://{layout.docker_io_endpoint.removeprefix('http://')}/containous/whoami:latest"
    )
    source = f"oci-archive:{images.archive_path(layout.tools, 'whoami')}"
    result = subprocess.run(
        ["skopeo", "copy", "--quiet", "--dest-tls-verify=false", source, target],
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise lifecycle.SandboxError(f"docker.io's stand-in rejects an image: {result.stderr}")


@contextmanager
def _tls_secret(layout: Layout) -> Iterator[None]:
    """Create the Secret that the program expects as soon as it has created the namespace."""
    ended = threading.Event()
    with ThreadPoolExecutor() as pool:
        created = pool.submit(_create_tls_secret, layout, ended)
        try:
            yield
        finally:
            ended.set()
    created.result()


def _create_tls_secret(layout: Layout, ended: threading.Event) -> None:
    api = KubeApi.of(layout.kubeconfig)
    while True:
        last = ended.wait(_POLL_SECONDS)
        with suppress(OSError):
            api.get("/api/v1/namespaces/registry")
            break
        if last:
            raise lifecycle.SandboxError("pulumi up has created no namespace registry")
    certificate, key = pki.issue(layout.pki, "registry", layout.hostname)
    secret = _kubectl(
        layout,
        *("create", "secret", "tls", "registry-tls", "--namespace=registry"),
        *(f"--cert={certificate}", f"--key={key}", "--dry-run=client", "--output=yaml"),
        capture=True,
    )
    _kubectl(layout, "apply", "--server-side", "--filename=-", stdin=secret, capture=True)


def _kubectl(layout: Layout, *args: str, stdin: str = "", capture: bool = False) -> str:
    """Run kubectl, and return its output if that is captured."""
    result = subprocess.run(
        [layout.tools / "kubectl", *args],
        env=engine.environment(layout),
        input=stdin,
        stdout=subprocess.PIPE if capture else None,
        text=True,
        check=True,
    )
    return result.stdout or ""


def _forget(layout: Layout) -> None:
    shutil.rmtree(layout.state, ignore_errors=True)
    engine.stack_file(layout).unlink(missing_ok=True)


def main() -> None:
    """Run one command."""
    parser = argparse.ArgumentParser(
        prog="python -m sandbox",
        description="A sandbox of real parts for the private container registry.",
        epilog="What is real in it and what stands in: docs/sandbox.md",
    )
    parser.add_argument(
        "--name", default="sandbox", help="which sandbox: sandbox (default), or sandbox-<anything>"
    )
    subparsers = parser.add_subparsers(dest="command", required=True)
    for name, command in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=command.__doc__, description=command.__doc__)
        if command is up:
            subparser.add_argument(
                "--nodes",
                type=int,
                choices=(1, 2),
                help="of the cluster; by default as before, or 1",
            )
    args = parser.parse_args()
    if args.name != "sandbox" and not args.name.startswith("sandbox-"):
        parser.error(f"--name {args.name}: expected sandbox, or sandbox-<anything>")
    if os.geteuid() != 0:
        sys.exit("error: a node with its own namespaces and mounts needs root: sudo make ...")
    command = COMMANDS[args.command]
    lock = Layout(ROOT, args.name, 0).lock
    busy = f"another command is changing {args.name}"
    try:
        with exclusive(lock, busy) if command in _CHANGING else nullcontext():
            layout = lifecycle.claim(ROOT, args.name)
            if nodes := vars(args).get("nodes"):
                lifecycle.record_nodes(layout, nodes)
            command(layout)
    except ERRORS as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
