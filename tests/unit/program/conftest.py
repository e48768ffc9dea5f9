"""Run the program against mocks: one event loop and one program run a test.

https://www.pulumi.com/docs/iac/concepts/testing/unit/ shows the shape; mocks test our wiring, and
all that an engine or a provider does with it is tested in the sandbox.
"""

from __future__ import annotations

import asyncio
import gc
import json
import runpy
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import pulumi
import pytest
from pulumi.runtime.stack import run_pulumi_func

import preflight

ROOT = Path(__file__).parents[3]
PROJECT = "k3s-registry"
CONFIG = {"hostname": "registry.example.com"}

CLUSTER_UID = "11111111-2222-3333-4444-555555555555"

DRAWN = {
    "random:index/randomPassword:RandomPassword": {"result": "Passw0rdPassw0rdPassw0rdPassw0rd"},
    "random:index/randomString:RandomString": {"result": "a1b2c3d4"},
    "random:index/randomBytes:RandomBytes": {
        "base64": "AAECAwQFBgcICQoLDA0ODw==",
        "hex": "000102030405060708090a0b0c0d0e0f",
    },
}
"""What providers would answer, by resource type."""


SECRET = "4dabf18193072939515e22adb298388d"
"""The key by which the engine's protocol tells a wrapped value, here always a secret."""


def plain(value: Any) -> Any:
    """Take secrets out of their wrapping."""
    if isinstance(value, dict):
        if SECRET in value:
            return plain(value["value"])
        return {key: plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list) else value


@dataclass
class Recorder(pulumi.runtime.Mocks):
    """Keeps every resource that the program registers, and every output that it exports."""

    resources: dict[str, pulumi.runtime.MockResourceArgs] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        self.resources[args.name] = args
        stash = {"output": args.inputs.get("input")} if args.typ.endswith(":Stash") else {}
        state = {**args.inputs, **stash, **DRAWN.get(args.typ, {})}
        if args.typ.endswith(":SpacesKey"):
            state |= {"accessKey": f"DO00-{args.name}", "secretKey": f"s3cr3t-of-{args.name}"}
        if args.typ.startswith("kubernetes:"):
            named = {"name": f"{args.name}-0a1b2c3d", "generation": 1}
            state["metadata"] = named | state.get("metadata", {})
        return f"{args.name}-id", state

    def call(self, args: pulumi.runtime.MockCallArgs) -> NoReturn:
        raise AssertionError(f"the program calls {args.token}, but it must need no look-up")

    def inputs(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = plain(self.resources[name].inputs)
        return found

    def types(self) -> list[str]:
        return [resource.typ for resource in self.resources.values()]


Run = Callable[..., Recorder]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Answer a function that runs the program with a configuration, and answers what it made."""
    loops: list[asyncio.AbstractEventLoop] = []

    def own_loop() -> asyncio.AbstractEventLoop:
        loops.append(asyncio.new_event_loop())
        asyncio.set_event_loop(loops[-1])
        return loops[-1]

    loop = own_loop()
    # The mocks' monitor makes a loop in each worker thread that has none, and never closes it.
    loop.set_default_executor(ThreadPoolExecutor(4, initializer=own_loop))

    def run_program(
        config: dict[str, Any] | None = None,
        *,
        preview: bool = False,
        token: str = "token",
        environment: Mapping[str, str] | None = None,
    ) -> Recorder:
        values = CONFIG if config is None else config
        texts = {
            key if ":" in key else f"{PROJECT}:{key}": value
            if isinstance(value, str)
            else json.dumps(value)
            for key, value in values.items()
        }
        monkeypatch.setenv("PULUMI_CONFIG", json.dumps(texts))
        monkeypatch.setenv("DIGITALOCEAN_TOKEN", token)
        for name in ("SPACES_ACCESS_KEY_ID", "SPACES_SECRET_ACCESS_KEY", "SPACES_ENDPOINT_URL"):
            monkeypatch.delenv(name, raising=False)
        for name, value in (environment or {}).items():
            monkeypatch.setenv(name, value)
        # A cluster that can be asked, with nothing in the way.
        monkeypatch.setattr(preflight, "check", lambda *_: CLUSTER_UID)
        recorder = Recorder()
        pulumi.runtime.set_mocks(recorder, project=PROJECT, stack="dev", preview=preview)

        def keep(name: str, value: object) -> None:
            def seen(plain: object) -> None:
                recorder.outputs[name] = plain

            pulumi.Output.from_input(value).apply(seen)

        monkeypatch.setattr(pulumi, "export", keep)

        def program() -> None:
            runpy.run_path(str(ROOT / "__main__.py"))

        loop.run_until_complete(run_pulumi_func(program))
        return recorder

    yield run_program
    # The program switches it off for the few seconds that it runs.
    gc.unfreeze()
    gc.enable()
    loop.run_until_complete(loop.shutdown_default_executor())
    for used in loops:
        used.close()
    asyncio.set_event_loop(None)
