"""A plugin's server: what a resource plugin and a language host have in common."""

from __future__ import annotations

import argparse
import os
import select
import signal
from collections.abc import Callable
from concurrent import futures

import grpc

_MESSAGE_LIMIT = 400 << 20
"""The engine's limit of a message, in bytes; gRPC's default is 4 MiB.
https://github.com/pulumi/pulumi, sdk/go/common/util/rpcutil"""

_WORKERS = 32
"""Concurrent calls; the engine makes four per processor by default, and others wait."""

_POLL_SECONDS = 1.0
"""Between two checks that the engine still runs: an engine that is killed does not end plugins."""


def arguments(description: str) -> list[str]:
    """Return the command line arguments: what the engine passes, its own address last.

    Args:
        description: What the plugin stands in for, and what it does not cover; for --help.
    """
    parser = argparse.ArgumentParser(
        description=description, usage="%(prog)s [whatever the engine passes] engine-address"
    )
    return parser.parse_known_args()[1]


def serve(register: Callable[[grpc.Server], None]) -> None:
    """Serve on a free port of the loopback interface, and print that port.

    Returns on SIGINT or SIGTERM, or when the engine, its parent, has ended.

    The caller ends the process by ``os._exit``: an orderly shutdown of gRPC's threads took more
    than 20 s in 5 of 160 starts, and the engine waits 5 s for all plugins together.

    Args:
        register: Adds the plugin's service to the server.
    """
    # The handler of a signal that another thread receives runs only once the main thread wakes up;
    # this descriptor wakes it. Child processes would inherit blocked signals.
    wake, write = os.pipe()
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write)
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, lambda *_: None)
    server = grpc.server(
        futures.ThreadPoolExecutor(_WORKERS),
        options=[
            ("grpc.max_receive_message_length", _MESSAGE_LIMIT),
            ("grpc.max_send_message_length", _MESSAGE_LIMIT),
        ],
    )
    register(server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    engine = os.getppid()
    while not select.select([wake], [], [], _POLL_SECONDS)[0] and os.getppid() == engine:
        pass
