"""A plain registry and the program, each behind a listener that notes what clients send and get."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from settings.immutable import ImmutableRule
from tests.soak.client import Response
from tests.soak.pair import AuthProxy, login
from tests.soak.plain import Plain
from tests.soak.recorder import Recorder
from tests.soak.rights import RIGHTS, Request, expected
from tests.soak.servers import HOSTS, Servers

KEPT = ImmutableRule(repositories=["team-a/kept", "team-a/kept/*"])
"""A rule of tags that stay what they are, for what the plain registry cannot do."""


@dataclass(frozen=True)
class Both:
    """The listeners."""

    plain: Recorder
    here: Recorder


@contextmanager
def started(tools: Path, folder: Path) -> Iterator[Both]:
    """Start both, on one S3 server, with the users of :data:`RIGHTS`."""
    servers = Servers(tools, folder / "servers")
    folders = [folder / name for name in ("servers", "plain", "proxy")]
    for each in folders:
        each.mkdir()
    with ExitStack() as stack:
        stack.callback(servers.stop_all)
        servers.start()
        registry, manifests = (
            f"{HOSTS[0]}:{servers.inner_ports[name]}" for name in ("registry", "manifests")
        )
        proxy = AuthProxy(tools, folders[2], registry, manifests)
        proxy.configure(RIGHTS, immutable={"kept": KEPT})
        proxy.start()
        stack.callback(proxy.stop)
        plain = Plain(folders[1], servers)
        plain.start(RIGHTS)
        stack.callback(plain.stop)
        recorders = [stack.enter_context(Recorder(x.port)) for x in (plain, proxy)]
        yield Both(*recorders)


class Asking:
    """A client that sends what it is told to, over one connection while that lasts."""

    def __init__(self, recorder: Recorder, user: str, *, within_rights: bool) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", recorder.port, timeout=60)
        self._user, self._within_rights = user, within_rights
        self._login = {"Authorization": login(user)} if user else {}

    def __call__(
        self, method: str, target: str, body: bytes | Iterator[bytes] = b"", **headers: str
    ) -> Response:
        """Send a request; an underscore in a header's name is a hyphen, and an empty one none."""
        named = {name.replace("_", "-"): value for name, value in headers.items() if value}
        user, chunked = self._user if self._user in RIGHTS else "", not isinstance(body, bytes)
        content = body if isinstance(body, bytes) else b""
        request = Request(user, method, target, list(named.items()), content, chunked)
        if self._within_rights and expected(request).status == 403:
            return Response(403, {}, b"")
        # It may be refused before all of it is sent.
        with suppress(ConnectionError):
            self._connection.request(method, target, body or None, self._login | named)
        response = self._connection.getresponse()
        received = {name.lower(): value for name, value in response.getheaders()}
        return Response(response.status, received, response.read())

    def close(self) -> None:
        self._connection.close()
