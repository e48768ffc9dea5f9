"""The scan with the real Trivy, of a real registry behind the auth proxy."""

from __future__ import annotations

import base64
import gzip
import json
import ssl
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from components.network import FINDINGS_METRICS_PATH
from sandbox.build import toolchain
from scripts.scan import scan, trivy
from scripts.scan.trivy import Login, Trivy, TrivyError
from scripts.shared import api_server
from scripts.shared.reports import METRICS
from tests import scanned
from tests.pinned_tools import TRIVY
from tests.soak.client import Client, Image, image, index
from tests.soak.pair import AuthProxy
from tests.soak.servers import HOSTS, Servers
from tests.soak.serving import Serving

DATABASE = "mirror/trivy-db:2"


@pytest.fixture(scope="session")
def program(tools: Path) -> Path:
    toolchain.build(tools, [], [TRIVY])
    return tools / "trivy"


@pytest.fixture
def proxy(servers: Servers, tmp_path: Path) -> Iterator[AuthProxy]:
    """The auth proxy before a registry that has the database."""
    inner = (f"{HOSTS[0]}:{servers.inner_ports[x]}" for x in ("registry", "manifests"))
    proxy = AuthProxy(servers.tools, tmp_path, *inner)
    proxy.configure({"maintenance": ([], []), "pull": ([], ["*"])})
    proxy.start()
    push(servers, scanned.database(*DATABASE.split(":")))
    try:
        yield proxy
    finally:
        proxy.stop()


def push(servers: Servers, *images: Image) -> None:
    with closing(Client([f"{HOSTS[0]}:{servers.registry_port}"], 1)) as client:
        for each in images:
            client.push(each)


class ConfigMap(Serving, ThreadingHTTPServer):
    """The API server, as far as a ConfigMap needs it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.data: dict[str, str] = {}


class _Handler(BaseHTTPRequestHandler):
    server: ConfigMap

    def do_GET(self) -> None:
        if self.command == "PATCH":
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.server.data |= body["binaryData"]
        content = json.dumps({"binaryData": self.server.data}).encode()
        self.send_response_only(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_PATCH = do_GET  # noqa: N815 - http.server calls it so

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def config_map(monkeypatch: pytest.MonkeyPatch) -> Iterator[ConfigMap]:
    monkeypatch.setattr(ssl, "create_default_context", lambda **_: None)
    with ConfigMap() as server:
        monkeypatch.setattr(api_server, "URL", f"http://127.0.0.1:{server.server_address[1]}")
        yield server


@dataclass
class Run:
    """The whole script, as the CronJob runs it."""

    program: Path
    proxy: AuthProxy
    config_map: ConfigMap
    folder: Path

    def __call__(self, **changed: str) -> int:
        """Run it, and return its exit status."""
        registry = f"127.0.0.1:{self.proxy.port}"
        options = {
            "registry": f"http://{registry}",
            "username": "pull",
            "password-file": self.folder / "password",
            "trivy": self.program,
            # A pod's is empty.
            "folder": tempfile.mkdtemp(dir=self.folder),
            "database": f"{registry}/{DATABASE}",
            "seconds": "600",
            "reports": "registry/registry-findings",
            "rights": json.dumps({"all": ["*"], "team": ["team/*"]}),
            "credentials": self.folder,
            **changed,
        }
        sys.argv = ["scan", "--own-database", *(f"--{x}={y}" for x, y in options.items())]
        return scan.main()

    def found(self, rights: str = "all") -> dict[str, Any]:
        content = base64.b64decode(self.config_map.data[f"findings.{rights}.json.gz"])
        report: dict[str, Any] = json.loads(gzip.decompress(content))
        return report

    def metrics(self) -> str:
        """Return what Prometheus gets, once the kubelet has written the file."""
        content = base64.b64decode(self.config_map.data[METRICS])
        (self.folder / METRICS).write_bytes(content)
        kind, text = self.proxy.scraped(FINDINGS_METRICS_PATH)
        # Prometheus 3 takes no other.
        assert kind == "text/plain; version=0.0.4; charset=utf-8"
        return text


@pytest.fixture
def run(
    program: Path,
    proxy: AuthProxy,
    config_map: ConfigMap,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Run:
    monkeypatch.setattr(sys, "argv", [])
    (tmp_path / "token").write_text("token")
    (tmp_path / "password").write_text("pull")
    return Run(program, proxy, config_map, tmp_path)


APP = scanned.vulnerable("team/app", "1")
WORST = [
    ["critical", scanned.CRITICAL, "busybox", "1.36.1-r2", "1.36.1-r99"],
    ["high", scanned.WITHOUT_FIX, "busybox", "1.36.1-r2", ""],
    ["medium", scanned.OF_A_JAR, "org.example:log", "1.0", "2.0"],
]


def test_what_trivy_finds_is_told_to_users_and_to_prometheus(run: Run, servers: Servers) -> None:
    """One vulnerability is fixed in what the image has: it is no finding."""
    assert run.proxy.scraped(FINDINGS_METRICS_PATH)[1] == "", "no failure before the first run"
    push(servers, APP)
    assert run() == 0
    found = run.found()
    assert found["images"].keys() == {APP.digest}, "the database itself is no image"
    image = found["images"][APP.digest]
    assert image["worst"] == WORST
    assert image["counts"] == [[1, 1], [1, 0], [1, 1], [0, 0], [0, 0]]
    assert found["database"] == datetime(2026, 12, 1, tzinfo=UTC).timestamp()
    lines = run.metrics().splitlines()
    fixable = 'registry_vulnerabilities{repository="team/app",severity="critical",fixable="true"} 1'
    assert fixable in lines
    assert "registry_scanned_images 1" in lines


def test_it_only_reads(run: Run, servers: Servers) -> None:
    push(servers, APP)
    before = {x.key: x.etag for x in servers.objects().list("")}
    assert run() == 0
    assert {x.key: x.etag for x in servers.objects().list("")} == before
    entries = [json.loads(x) for x in (run.folder / "caddy.log").read_text().splitlines()]
    requests = [x for x in entries if x.get("user_id") == "pull"]
    assert {x["kind"] for x in requests} >= {"blobs", "manifests"}
    assert {x["request"]["method"] for x in requests} <= {"GET", "HEAD"}


def test_of_an_index_one_image_is_scanned_and_what_describes_images_is_not(
    run: Run, servers: Servers
) -> None:
    attestation = image("team/multi", "", b"{}", [b"statement"])
    manifest = json.loads(attestation.manifest)
    manifest["layers"][0]["mediaType"] = "application/vnd.in-toto+json"
    attestation = replace(attestation, manifest=json.dumps(manifest).encode())
    child = scanned.vulnerable("team/multi", "")
    multi = index("team/multi", "1", [attestation, child])
    signature = replace(attestation, tag=f"sha256-{child.digest[7:]}.sig")
    push(servers, multi, signature)
    assert run() == 0
    assert run.found()["images"].keys() == {multi.digest}
    assert run.found()["images"][multi.digest]["worst"] == WORST


def test_a_broken_image_stops_no_other_and_its_last_findings_stay(
    run: Run, servers: Servers, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = scanned.vulnerable("team/broken", "1", "another layer")
    push(servers, APP, broken)
    assert run() == 0
    layer = next(digest for digest in broken.blobs if digest not in APP.blobs)
    blob = f"docker/registry/v2/blobs/sha256/{layer[7:9]}/{layer[7:]}/data"
    servers.objects().delete(blob)
    later = scanned.vulnerable("team/later", "1", "a third one")
    push(servers, later)
    capsys.readouterr()
    assert run() == 0
    images = run.found()["images"]
    assert images.keys() == {APP.digest, broken.digest, later.digest}
    assert images[broken.digest]["worst"] == WORST
    assert "failed" in images[broken.digest]
    assert "failed" not in images[later.digest]
    assert f"team/broken@{broken.digest}: not scanned: " in capsys.readouterr().out
    assert "registry_unscanned_images 1" in run.metrics().splitlines()


def test_each_is_told_of_what_they_may_pull(run: Run, servers: Servers) -> None:
    push(servers, APP, scanned.vulnerable("secret", "1", "secret"))
    assert run() == 0
    assert len(run.found()["images"]) == 2
    assert run.found("team")["images"].keys() == {APP.digest}


@pytest.mark.parametrize("what", ["database", "password", "registry", "trivy"])
def test_a_run_that_fails_changes_nothing(
    run: Run, servers: Servers, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    push(servers, APP)
    assert run() == 0
    before = dict(run.config_map.data)
    match what:
        case "database":
            status = run(database=f"127.0.0.1:{run.proxy.port}/mirror/nothing:2")
        case "password":
            (run.folder / "password").write_text("wrong-password")
            status = run()
        case "registry":
            status = run(registry="http://127.0.0.1:1")
        case _:
            status = run(trivy="/bin/false")
    assert status == 1
    assert run.config_map.data == before
    said = capsys.readouterr().out
    assert "FAILED: " in said
    assert "wrong-password" not in said


def test_an_image_that_takes_too_much_memory_is_ended_by_itself(
    run: Run, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel would end the whole container, at the same image in each run."""
    registry, login = f"127.0.0.1:{run.proxy.port}", Login("pull", "pull")
    # It takes half a GiB to read.
    entries = (f"P:x{x}\nV:1.0-r0\nA:x86_64\no:x{x}\n\n" for x in range(100_000))
    packages = {"lib/apk/db/installed": "".join(entries).encode()}
    large = scanned.of_alpine("large", "1", packages)
    push(servers, APP, large)
    bounded = Trivy(run.program, Path(tempfile.mkdtemp(dir=run.folder)))
    bounded.download(f"{registry}/{DATABASE}", login)
    monkeypatch.setattr(trivy, "MEMORY_MIB", 192)
    with pytest.raises(TrivyError, match="memory"):
        bounded.scan(f"{registry}/large@{large.digest}", login)
    assert bounded.scan(f"{registry}/team/app@{APP.digest}", login)["Results"]
