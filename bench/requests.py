"""Count the requests to the S3 server, and take the time: `venv/bin/python -m bench.requests`.

Two pods on the loopback, with the auth proxy and without an ingress controller, in turns with the
same pods where one registry process remembers and takes all requests. It prints a Markdown table.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from tests.sandbox.crane import new_layer
from tests.soak.client import INDEX, image
from tests.soak.servers import HOSTS, PASSWORD, Servers, free_port

ROOT = Path(__file__).parent.parent
LAYERS, LAYER_BYTES = 20, 100_000
PLATFORMS = ("amd64", "arm64", "s390x", "riscv64")
DELAYS = (0, 10, 30)
"""Milliseconds that each response of the S3 server takes longer."""

LAYOUTS = {"one process": True, "two": False}


class Pods:
    """Two pods, an S3 server with a log, and a distance between them.

    Args:
        servers: The pods and the S3 server, started.
        delay: In milliseconds.
        stack: Ends what is started.
    """

    def __init__(self, servers: Servers, delay: int, stack: ExitStack) -> None:
        self._servers, self._folder = servers, servers.folder
        self._log = servers.folder / "access.log"
        stack.callback(servers.stop_all)
        servers.start(["--access-log", str(self._log)])
        port = free_port(("127.0.0.1",))
        command = [sys.executable, "-m", "bench.delay", f"127.0.0.1:{port}"]
        command += [f"127.0.0.1:{servers.s3_port}", str(delay)]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
        stack.callback(process.wait)
        stack.callback(process.kill)
        assert process.stdout and process.stdout.readline()  # noqa: S101 (it says when it listens)
        for host in HOSTS:
            servers.stop(host)
            servers.start_registry(host, f"http://127.0.0.1:{port}")
            login = ("auth", "login", self.address(host), "--username=admin", "--password-stdin")
            self.crane(*login, stdin=PASSWORD)

    def address(self, host: str) -> str:
        """Return where a pod serves clients."""
        return f"{host}:{self._servers.registry_port}"

    def crane(self, *arguments: str, stdin: str = "") -> tuple[int, float]:
        """Run crane; return the number of requests to the S3 server, and the seconds."""
        before, start = self._requests(), time.monotonic()
        subprocess.run(
            [str(self._servers.tools / "crane"), "--insecure", *arguments],
            env=os.environ | {"DOCKER_CONFIG": str(self._folder)},
            input=stdin.encode(),
            capture_output=True,
            check=True,
        )
        seconds = time.monotonic() - start
        time.sleep(0.3)
        return self._requests() - before, seconds

    def _requests(self) -> int:
        return self._log.read_bytes().count(b"\n") if self._log.exists() else 0


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="default 5")
    rounds = parser.parse_args().rounds
    results: dict[tuple[str, int, str], list[tuple[int, float]]] = defaultdict(list)
    for delay in DELAYS:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            tools = ROOT / ".sandbox" / "tools"
            pods = {
                name: Pods(Servers(tools, folder / name, one_process), delay, stack)
                for name, one_process in LAYOUTS.items()
            }
            for number in range(rounds):
                print(f"{delay} ms, round {number + 1}", file=sys.stderr)
                layers = [folder / f"{x}.tar.gz" for x in range(LAYERS + 1)]
                for layer in layers:
                    new_layer(layer, LAYER_BYTES)
                platforms = index(folder / f"index{number}", number)
                # The first one of the two takes turns.
                for name in list(LAYOUTS)[:: 1 if number % 2 else -1]:
                    for work, figures in one_round(pods[name], number, layers, platforms):
                        results[work, delay, name].append(figures)
    print_table(results)


def one_round(
    pods: Pods, number: int, layers: Sequence[Path], platforms: Path
) -> Iterator[tuple[str, tuple[int, float]]]:
    """Push and pull images of one layout; yield what was done, the requests and the seconds."""
    here, other = map(pods.address, HOSTS)
    name = f"bench/n{number}"
    new = [f"--new_layer={x}" for x in layers]
    first = ("append", *new[:-1], f"--new_tag={here}/{name}:1")
    yield "push 20 x 100 kB", pods.crane(*first)
    yield "push again", pods.crane(*first)
    yield "push a next tag, 1 layer more", pods.crane("append", *new, f"--new_tag={here}/{name}:2")
    with tempfile.TemporaryDirectory() as output:
        for what, host in (
            ("pull from the pod that took the push", here),
            ("pull from another pod", other),
            ("pull again from it", other),
        ):
            pull = ("pull", "--format=oci", f"{host}/{name}:1", f"{output}/{what}")
            yield what, pods.crane(*pull)
        for what in ("push an index of 4 platforms", "push the index again"):
            yield what, pods.crane("push", "--index", str(platforms), f"{here}/{name}/index:1")
        for what, host in (("pull the index", here), ("pull the index from another pod", other)):
            pull = ("pull", "--format=oci", f"{host}/{name}/index:1", f"{output}/{what}")
            yield what, pods.crane(*pull)


def index(folder: Path, number: int) -> Path:
    """Write an index of images of one layer, as an OCI layout."""
    blobs, entries = folder / "blobs" / "sha256", []
    blobs.mkdir(parents=True)
    for platform in PLATFORMS:
        config = json.dumps({"os": "linux", "architecture": platform, "author": str(number)})
        built = image("", "", config.encode(), [os.urandom(LAYER_BYTES)])
        for content in (*built.blobs.values(), built.manifest):
            (blobs / hashlib.sha256(content).hexdigest()).write_bytes(content)
        size, described = len(built.manifest), json.loads(built.manifest)["mediaType"]
        where = {"os": "linux", "architecture": platform}
        entry = {"mediaType": described, "digest": built.digest, "size": size, "platform": where}
        entries.append(entry)
    manifest = {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}
    (folder / "index.json").write_text(json.dumps(manifest))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return folder


def print_table(results: dict[tuple[str, int, str], list[tuple[int, float]]]) -> None:
    """Print medians; the requests are the same in each round."""
    print("| S3 | work | requests | seconds | ratio |\n|---|---|---|---|---|")
    one, two = LAYOUTS
    for work, delay in dict.fromkeys((work, delay) for work, delay, _ in results):
        requests, seconds = (
            [median(x[position] for x in results[work, delay, name]) for name in (one, two)]
            for position in (0, 1)
        )
        print(
            f"| {delay} ms | {work} | {requests[0]:.0f} -> {requests[1]:.0f} "
            f"| {seconds[0]:.2f} -> {seconds[1]:.2f} | {seconds[1] / seconds[0]:.2f} |"
        )


if __name__ == "__main__":
    main()
