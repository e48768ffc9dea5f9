"""Run the program against an engine that records: one event loop and one context a run."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import json
import os
import runpy
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal
from unittest import mock

import pulumi
import pytest
from pulumi.runtime.mocks import MockSettings
from pulumi.runtime.settings import configure
from pulumi.runtime.stack import run_in_stack

import preflight
from components import private_registry
from package import private_registry as packaged
from preflight.cluster import Cluster
from preflight.routers import Served
from settings import Settings
from settings.credentials import CloudAccess
from tests.unit.program.engine import Engine

ROOT = Path(__file__).parents[3]
PROJECT = "k3s-registry"
CONFIG = {"hostname": "registry.example.com"}
CLUSTER_UID = "11111111-2222-3333-4444-555555555555"

ENCRYPTED = (
    *("digitalocean:token", "digitalocean:spacesSecretKey", "kubernetes:kubeconfig"),
    f"{PROJECT}:storage",
    f"{PROJECT}:webhooks",
    f"{PROJECT}:cache",
    f"{PROJECT}:backup",
)
"""The keys that hold secrets, where they are set."""


class Run:
    """Runs the program once for each configuration; what it recorded is there to be read only."""

    def __init__(self) -> None:
        self._done: dict[str, Engine] = {}

    def __call__(
        self,
        config: dict[str, Any] | None = None,
        *,
        preview: bool = False,
        token: str = "token",
        environment: dict[str, str] | None = None,
        state: dict[str, dict[str, Any]] | None = None,
        program: Path = ROOT / "__main__.py",
    ) -> Engine:
        """Return what the program registers.

        Args:
            config: The stack's configuration, without the project's name in its keys.
            preview: Whether nothing that a provider would return is known.
            token: The DigitalOcean API token in the environment.
            environment: Other environment variables.
            state: What the engine returns for a resource, by its name, instead of its inputs.
            program: What runs.
        """
        values = CONFIG if config is None else config
        variables = {"DIGITALOCEAN_TOKEN": token} | (environment or {})
        key = json.dumps([values, preview, variables, state, str(program)])
        if key not in self._done:
            self._done[key] = contextvars.Context().run(
                _run, values, preview, variables, state or {}, program
            )
        return self._done[key]


def _run(
    values: dict[str, Any],
    preview: bool,
    variables: dict[str, str],
    state: dict[str, dict[str, Any]],
    path: Path,
) -> Engine:
    texts = {
        key if ":" in key else f"{PROJECT}:{key}": value
        if isinstance(value, str)
        else json.dumps(value, separators=(",", ":"), sort_keys=True)  # as the engine does
        for key, value in values.items()
    }
    environment = {
        "PATH": os.environ["PATH"],
        "PULUMI_CONFIG": json.dumps(texts),
        "PULUMI_CONFIG_SECRET_KEYS": json.dumps([key for key in texts if key in ENCRYPTED]),
        **variables,
    }
    loops: list[asyncio.AbstractEventLoop] = []

    def own_loop() -> None:
        loops.append(asyncio.new_event_loop())
        asyncio.set_event_loop(loops[-1])

    own_loop()
    loop = loops[0]
    # The SDK makes a loop in each worker thread that has none, and never closes it.
    loop.set_default_executor(ThreadPoolExecutor(4, initializer=own_loop))
    engine = Engine(state=state)
    settings = MockSettings(  # type: ignore[no-untyped-call] # upstream's has no types
        monitor=engine,
        engine=engine,
        project=PROJECT,
        stack="dev",
        organization="organization",
        dry_run=preview,
        outputs=set(),  # Or those of a program that failed are awaited by the next one.
        callbacks=None,  # Or hooks are registered with the engine of the first program.
    )
    configure(settings)

    def program() -> None:
        runpy.run_path(str(path))

    try:
        with (
            mock.patch.dict(os.environ, environment, clear=True),
            mock.patch.object(packaged, "_NAMES", []),  # Each program has a process of its own.
            mock.patch.object(private_registry, "report_ingress", engine.report_ingress),
            mock.patch.object(private_registry, "report_usage", engine.report_usage),
            mock.patch.object(private_registry, "report_backup", engine.report_backup),
            # A cluster with nothing in the way.
            mock.patch.object(preflight, "check", _check),
            mock.patch.object(Cluster, "ask"),
            mock.patch.object(
                preflight,
                "knows_prometheus_operator",
                lambda settings, cluster: bool(cluster) and settings.monitoring.enabled,
            ),
            mock.patch.object(
                preflight,
                "dns_addresses",
                lambda settings, cluster: settings.dns.addresses if cluster else [],
            ),
        ):
            loop.run_until_complete(run_in_stack(program))
    finally:
        # The program switches it off for the few seconds that it runs.
        gc.enable()
        # Of a program that failed, what depends on the failure is still to be notified.
        loop.set_exception_handler(lambda *_: None)
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_default_executor())
        for used in loops:
            used.close()
        asyncio.set_event_loop(None)
    return engine


def _check(
    settings: Settings, access: CloudAccess, cluster: Cluster, stack: str
) -> tuple[str, list[Served]]:
    assert isinstance(settings, Settings)
    assert isinstance(access, CloudAccess)
    assert isinstance(cluster, Cluster)
    assert stack == f"organization/{PROJECT}/dev"
    return CLUSTER_UID, []


def _scope(
    fixture_name: str,  # noqa: ARG001 - pytest passes it by its name
    config: pytest.Config,
) -> Literal["function", "session"]:
    return "function" if config.getoption("--each-alone", default=False) else "session"


@pytest.fixture(scope=_scope)
def run() -> Run:
    return Run()


def refusal(run: Run, **arguments: Any) -> str:
    """Return the one error that a program logs which ends as one that has explained itself."""
    with mock.patch.object(pulumi.log, "error") as log, pytest.raises(SystemExit) as ended:
        run(**arguments)
    assert ended.value.code == 32
    message: str = log.call_args.args[0]
    assert log.call_count == 1
    return message
