"""The stand-in for the language host pulumi-language-python.

It runs programs and policy packs with the Python of their virtual environment. Not covered: other
toolchains than pip, type checkers, debuggers, and SDKs of packages. It installs no dependencies: a
new project gets a link to the sandbox's own virtual environment.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import selectors
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import grpc
from google.protobuf import empty_pb2
from typing_extensions import override

from sandbox.engine.plugins import serving
from sandbox.engine.plugins.protocol import language_pb2, language_pb2_grpc, plugin_pb2

_BAIL = 32
"""Exit code of a program that has already shown its error; from ``pulumi-language-python-exec``."""


def environment(info: language_pb2.ProgramInfo) -> Path:
    """Return the virtual environment of a program: the configured one, or this process's own.

    Raises:
        FileNotFoundError: The configured environment does not exist.
    """
    configured = dict(info.options).get("virtualenv")
    if not configured:
        return Path(sys.prefix)
    folder = Path(info.root_directory, str(configured))
    if not (folder / "bin" / "python").exists():
        raise FileNotFoundError(
            f"no virtual environment at {folder}: create it, and install requirements.txt into it"
        )
    return folder


def required_packages(environment: Path) -> list[plugin_pb2.PackageDependency]:
    """Return the resource plugins that the SDKs in a virtual environment need.

    It only looks where generated SDKs have their ``pulumi-plugin.json``: reading the file lists of
    all distributions takes a hundred times as long, on every command.
    """
    packages = []
    for path in sorted(environment.glob("lib/python*/site-packages/*/pulumi-plugin.json")):
        plugin = json.loads(path.read_text())
        if plugin["resource"]:
            packages.append(
                plugin_pb2.PackageDependency(
                    name=plugin["name"], kind="resource", version=f"v{plugin['version']}"
                )
            )
    return packages


class LanguageHost(language_pb2_grpc.LanguageRuntimeServicer):
    """Runs Python programs for the engine.

    Args:
        executor: The SDK's ``pulumi-language-python-exec``, which runs one program.
        engine: The engine's address.
    """

    def __init__(self, executor: Path, engine: str) -> None:
        self._executor = executor
        self._engine = engine
        self._running: set[subprocess.Popen[bytes]] = set()

    def terminate(self) -> None:
        """Terminate the programs that still run."""
        for process in list(self._running):
            process.terminate()

    @contextlib.contextmanager
    def _process(
        self, argv: Sequence[str | Path], pwd: str, env: Mapping[str, str], pipe: int | None = None
    ) -> Iterator[subprocess.Popen[bytes]]:
        process = subprocess.Popen(argv, cwd=pwd, env=env, stdout=pipe, stderr=pipe)
        self._running.add(process)
        try:
            with process:
                yield process
        finally:
            self._running.discard(process)

    @override
    def Handshake(
        self, request: language_pb2.LanguageHandshakeRequest, context: grpc.ServicerContext
    ) -> language_pb2.LanguageHandshakeResponse:
        return language_pb2.LanguageHandshakeResponse()

    @override
    def GetPluginInfo(
        self, request: empty_pb2.Empty, context: grpc.ServicerContext
    ) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo()

    @override
    def GetRequiredPackages(
        self, request: language_pb2.GetRequiredPackagesRequest, context: grpc.ServicerContext
    ) -> language_pb2.GetRequiredPackagesResponse:
        try:
            packages = required_packages(environment(request.info))
        except FileNotFoundError as error:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
        return language_pb2.GetRequiredPackagesResponse(packages=packages)

    @override
    def InstallDependencies(
        self, request: language_pb2.InstallDependenciesRequest, context: grpc.ServicerContext
    ) -> Iterator[language_pb2.InstallDependenciesResponse]:
        own = Path(sys.prefix)
        folder = Path(
            request.info.root_directory, str(dict(request.info.options).get("virtualenv", own))
        )
        if not folder.exists():
            folder.symlink_to(own)
            message = f"stand-in: {folder} is a link to {own}; nothing was installed\n"
            yield language_pb2.InstallDependenciesResponse(stdout=message.encode())

    @override
    def Run(
        self, request: language_pb2.RunRequest, context: grpc.ServicerContext
    ) -> language_pb2.RunResponse:
        info = request.info
        options = {
            "monitor": request.monitor_address,
            "engine": self._engine,
            "project": request.project,
            "stack": request.stack,
            "pwd": request.pwd,
            "dry_run": "true" if request.dryRun else "false",
            "parallel": str(request.parallel),
            "organization": request.organization,
            "root_directory": info.root_directory,
        }
        argv: list[str | Path] = [
            environment(info) / "bin" / "python",
            "-u",
            self._executor,
            *(f"--{name}={value}" for name, value in options.items()),
            Path(info.program_directory, info.entry_point),
        ]
        # The SDK reads a stack's configuration from these two, secrets in plaintext.
        env = os.environ | {
            "PULUMI_CONFIG": json.dumps(dict(request.config)),
            "PULUMI_CONFIG_SECRET_KEYS": json.dumps(list(request.configSecretKeys)),
        }
        with self._process(argv, request.pwd, env) as program:
            code = program.wait()
        if code == _BAIL:
            return language_pb2.RunResponse(bail=True)
        return language_pb2.RunResponse(
            error=f"program exited with non-zero exit code: {code}" if code else ""
        )

    @override
    def RunPlugin(
        self, request: language_pb2.RunPluginRequest, context: grpc.ServicerContext
    ) -> Iterator[language_pb2.RunPluginResponse]:
        if request.kind not in ("analyzer", "resource"):
            context.abort(
                grpc.StatusCode.UNIMPLEMENTED, f"this stand-in runs no {request.kind} plugins"
            )
        info = request.info
        program: list[str | Path] = [info.program_directory]
        argv: list[str | Path] = [
            environment(info) / "bin" / "python",
            "-u",
            *(
                [*program, *request.args]
                if request.kind == "resource"
                else ["-m", "pulumi.policy", *request.args, *program]
            ),
        ]
        env = os.environ | dict(pair.split("=", 1) for pair in request.env)
        with self._process(argv, request.pwd, env, subprocess.PIPE) as plugin:
            # The engine ends this call when it no longer needs the plugin.
            context.add_callback(plugin.terminate)
            yield from output(plugin)
            yield language_pb2.RunPluginResponse(exitcode=plugin.wait())


def output(process: subprocess.Popen[bytes]) -> Iterator[language_pb2.RunPluginResponse]:
    """Yield the output of a process as it is written, until both of its streams are closed."""
    with selectors.DefaultSelector() as outputs:
        for stream in (process.stdout, process.stderr):
            if stream:
                outputs.register(stream, selectors.EVENT_READ)
        while outputs.get_map():
            for key, _ in outputs.select():
                data = os.read(key.fd, 65536)
                if not data:
                    outputs.unregister(key.fileobj)
                elif key.fileobj is process.stdout:
                    yield language_pb2.RunPluginResponse(stdout=data)
                else:
                    yield language_pb2.RunPluginResponse(stderr=data)


def main() -> None:
    """Serve until the engine ends this process."""
    executor, *engine = serving.arguments(
        "Stand-in for pulumi-language-python: runs programs and policy packs in a virtual "
        "environment made by pip; installs nothing. The first argument is the path of "
        "pulumi-language-python-exec."
    )
    host = LanguageHost(Path(executor), engine[-1])
    serving.serve(functools.partial(language_pb2_grpc.add_LanguageRuntimeServicer_to_server, host))
    host.terminate()
    os._exit(0)


if __name__ == "__main__":
    main()
