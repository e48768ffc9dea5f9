"""Everything outside of a run, which counts what happens, and may stop at any time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from live import story
from live.cleaning import Cleaner
from live.cloud import Cloud
from live.commands import CommandError, Commands
from live.journal import Journal
from live.names import PROJECT, Run
from live.running import Options, Steps
from live.spaces import Spaces
from preflight import cloud
from sandbox.cloud.api import Server
from sandbox.cloud.droplets import Droplets
from scripts.shared.objects import Objects
from scripts.shared.response import Response
from settings.credentials import CloudAccess
from tests.unit.live.responses import s3, sent
from tests.unit.sandbox.conftest import TOKEN
from tests.unit.servers import Serve

OTHERS = "somebody-elses"
OTHER_RUN = "k3s-registry-live-ffffffffff"
SUFFIX = "abcdefgh"


class Killed(BaseException):
    """What SIGKILL does, as far as a process can do it to itself: nothing catches it."""


@dataclass
class World:
    """The account, the cluster and the commands.

    Attributes:
        access: What reaches the account.
        home: The folder of runs.
        spaces: The names of the objects in each Space.
        namespaces: Those of the cluster.
        events: What has happened: requests that change something, and commands.
        kill_at: The number of the event at which the run is killed; none if negative.
        kill_after: Whether the event has happened then.
        refused: Commands that fail, by what they begin with.
    """

    access: CloudAccess
    home: Path
    spaces: dict[str, list[str]]
    namespaces: set[str] = field(default_factory=set)
    events: list[str] = field(default_factory=list)
    kill_at: int = -1
    kill_after: bool = False
    refused: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    @property
    def cloud(self) -> Cloud:
        return Cloud(self.access)

    def event(self, what: str, happen: Callable[[], Any]) -> Any:
        """Let something happen, unless the run is killed before."""
        number = len(self.events)
        self.events.append(what)
        if number == self.kill_at and not self.kill_after:
            raise Killed
        result = happen()
        if number == self.kill_at:
            raise Killed
        return result

    def run(self, kubeconfig: str | None = None) -> Journal:
        """Run as `make live` does, without what it does at the end."""
        journal = Journal.begin(self.home, Run.new(), region="nyc3")
        self.steps(journal).run(kubeconfig)
        return journal

    def steps(self, journal: Journal) -> Steps:
        options = Options(
            region="nyc3",
            size="s-2vcpu-4gb",
            k3s="v1.37.1+k3s1",
            domain="sslip.io",
            image="whoami",
            acme_roots=self.home.parent / "roots.pem",
            settings={},
        )
        commands = FakeCommands(self, journal)
        return Steps(
            journal=journal,
            commands=commands,
            cloud=self.cloud,
            options=options,
            say=self.said.append,
            sleep=lambda _: None,
        )

    def cleaner(self, run: Run) -> Cleaner:
        return Cleaner(
            run=run,
            cloud=self.cloud,
            access=self.access,
            region="nyc3",
            say=self.said.append,
            sleep=lambda _: None,
        )

    def clean(self, journal: Journal) -> list[str]:
        """Clean as `make live-clean` does, by the journal on the disk."""
        found = Journal(journal.run, journal.folder)
        return self.cleaner(journal.run).clean(found, FakeCommands(self, found))

    def everything(self) -> list[str]:
        """Return all that the account and the cluster have."""
        api = self.cloud
        items = [*api.droplets(), *api.ssh_keys(), *api.tags(), *api.spaces_keys()]
        objects = [f"{space}/{name}" for space, names in self.spaces.items() for name in names]
        return sorted([*(x["name"] for x in items), *self.spaces, *objects, *self.namespaces])


class FakeCommands(Commands):
    """The commands of a run: ssh-keygen, ssh, kubectl and pulumi."""

    def __init__(self, world: World, journal: Journal) -> None:
        self._world = world
        self._journal = journal

    def run(self, *argv: str | Path, **_: Any) -> str:
        words = [str(word) for word in argv]
        text = " ".join(words)
        assert TOKEN not in text
        if any(text.startswith(x) for x in self._world.refused):
            raise CommandError(f"{text}: refused")
        command: Callable[[list[str]], str] = getattr(self, "_" + words[0].replace("-", "_"))
        return str(self._world.event(text, lambda: command(words[1:])))

    def _ssh_keygen(self, words: list[str]) -> str:
        Path(words[-1]).write_text("private")
        public = f"ssh-ed25519 {'AAAA' + str(len(words[-1])).zfill(4)} {self._journal.run.name}"
        Path(words[-1] + ".pub").write_text(public + "\n")
        return ""

    def _ssh(self, _: list[str]) -> str:
        return "server: https://127.0.0.1:6443"

    def _kubectl(self, words: list[str]) -> str:
        names = self._world.namespaces
        match words:
            case ["create", "namespace", name]:
                names.add(name)
            case ["delete", "namespace", *rest]:
                names -= set(rest)
            case ["get", *_]:
                return json.dumps(
                    {"status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.4"}]}}}
                )
        return ""

    def _pulumi(self, words: list[str]) -> str:
        match words[2:]:
            case ["stack", "init", name]:
                self._save({})
                (self._journal.folder / "settings").write_text(name)
            case ["config", *_]:
                pass
            case ["up", *_]:
                self._up()
            case ["destroy", *_]:
                self._destroy()
        return ""

    @property
    def _file(self) -> Path:
        return self._journal.folder / "state" / "stack.json"

    def _save(self, state: dict[str, str]) -> None:
        self._file.write_text(json.dumps(state))

    def _up(self) -> None:
        """Create what the program does; what is killed before it is saved, is in no state."""
        world, run, state = self._world, self._journal.run, json.loads(self._file.read_text())
        old = {name: state[name] for name in state if name.endswith("key")}

        def create(kind: str, make: Callable[[], str]) -> None:
            state[kind] = world.event(f"up: {kind}", make)
            self._save(state)

        def namespace() -> str:
            world.namespaces.add(run.name)
            return run.name

        def space() -> str:
            world.spaces.setdefault(f"{run.name}-{SUFFIX}", [])
            return "space"

        create("namespace", namespace)
        bootstrap = f"{PROJECT}-{run.name}-bootstrap"
        key = world.cloud.create_spaces_key
        create("bootstrap-key", lambda: str(key(bootstrap)["access_key"]))
        create("space", space)
        create("key", lambda: str(key(f"{run.name}.203-0-113-4.sslip.io")["access_key"]))
        world.spaces[f"{run.name}-{SUFFIX}"] = ["docker/registry/v2/a", "docker/registry/v2/b c"]
        for access_key in old.values():
            world.cloud.delete(f"v2/spaces/keys/{access_key}")

    def _destroy(self) -> None:
        state = json.loads(self._file.read_text())
        for kind, value in reversed(list(state.items())):
            if kind.endswith("key"):
                self._world.cloud.delete(f"v2/spaces/keys/{value}")
            elif kind == "space":
                self._world.spaces.pop(f"{self._journal.run.name}-{SUFFIX}", None)
            else:
                self._world.namespaces.discard(value)
            del state[kind]
            self._save(state)


@pytest.fixture
def world(
    api: Server,
    droplets: Droplets,
    serve: Serve,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[World]:
    droplets.boot_seconds = 0
    endpoint = "http://{}:{}/".format(*api.server_address)
    cloud_access = CloudAccess(
        digitalocean={"api_endpoint": endpoint, "spaces_endpoint": ""}, kubernetes={}, token=TOKEN
    )
    asked = cloud.ask
    world = World(cloud_access, tmp_path / ".live", {f"{OTHERS}-{SUFFIX}": ["precious"]})
    url = serve(s3(world.spaces))
    world.access = CloudAccess(
        digitalocean={"api_endpoint": endpoint, "spaces_endpoint": url},
        kubernetes={},
        token=TOKEN,
    )
    (tmp_path / "roots.pem").write_text("roots")

    def counted(access: CloudAccess, method: str, path: str, body: bytes | None = None) -> Response:
        if access.api_endpoint != endpoint or access.token != TOKEN:
            return asked(access, method, path, body)
        if method == "GET":
            return sent(api, method, path, body)
        happened: Response = world.event(f"{method} {path}", lambda: sent(api, method, path, body))
        return happened

    def tell(scene: story.Scene) -> None:
        scene.stack.configure({"rotation": "2"})
        scene.stack.up()

    def of_storage(function: Callable[..., Any]) -> Callable[..., Any]:
        def counted_request(*args: Any, **kwargs: Any) -> Any:
            return world.event(f"DELETE {args[1:]}", lambda: function(*args, **kwargs))

        return counted_request

    monkeypatch.setattr(Objects, "delete", of_storage(Objects.delete))
    monkeypatch.setattr(Spaces, "delete", of_storage(Spaces.delete))
    monkeypatch.setattr(cloud, "ask", counted)
    monkeypatch.setattr("live.journal.os.fsync", lambda _: None)
    monkeypatch.setattr(story, "tell", tell)
    _create_others(world)
    world.events.clear()
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "pulumi"))
    yield world


def _create_others(world: World) -> None:
    """Fill the account with what is somebody else's, some of it with names like a run's."""
    api = world.cloud
    for name in (OTHERS, OTHER_RUN):
        api.create_spaces_key(name + "-clean")
        api.create_spaces_key(f"{name}.203-0-113-9.sslip.io")
        world.spaces[f"{name}-zzzzzzzz"] = ["precious"]
        key = api.create_ssh_key(Run(OTHER_RUN), f"ssh-ed25519 AAAA{len(name):04} {name}")
        api.create_droplet(
            Run(OTHER_RUN),
            region="nyc3",
            size="s-1vcpu-2gb",
            image="debian-12-x64",
            ssh_keys=[key["id"]],
        )
    world.namespaces |= {"default", OTHER_RUN}
