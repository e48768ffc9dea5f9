"""Whether the time of a refusal tells which users exist: `venv/bin/python -m bench.login_times`.

Wrong passwords of a user and of names that nobody has, in turns, at the auth proxy on the loopback.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import math
import random
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from tests.soak.conftest import ROOT
from tests.soak.servers import HOSTS, Servers

NAMES = ("admin", "adnin", "x", "maintenance", "a-much-longer-name-that-nobody-has")
"""The user, and what is compared with it."""

REQUESTS = (("GET", "/v2/"), ("POST", "/v2/team/app/blobs/uploads/"))

AT_ONCE = 8
"""How many wait at once: each waits for half a second."""


def seconds(port: int, name: str, method: str, path: str) -> float:
    """Return how long a refusal takes."""
    token = base64.b64encode(f"{name}:wrong".encode()).decode()
    with closing(http.client.HTTPConnection(HOSTS[0], port, timeout=60)) as connection:
        connection.connect()
        start = time.perf_counter()
        connection.request(method, path, headers={"Authorization": f"Basic {token}"})
        status = connection.getresponse().status
    if status != 401:
        raise RuntimeError(f"{method} {path}: {status}")
    return time.perf_counter() - start


def probability(first: list[float], second: list[float]) -> float:
    """Return how likely it is that two samples of one distribution differ as much (Mann-Whitney).

    https://en.wikipedia.org/wiki/Mann%E2%80%93Whitney_U_test#Normal_approximation
    """
    ranked = sorted([(x, True) for x in first] + [(x, False) for x in second])
    ranks = sum(number for number, (_, is_first) in enumerate(ranked, 1) if is_first)
    m, n = len(first), len(second)
    u = ranks - m * (m + 1) / 2
    z = (u - m * n / 2) / math.sqrt(m * n * (m + n + 1) / 12)
    return math.erfc(abs(z) / math.sqrt(2))


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=500, help="requests with each name")
    count = parser.parse_args().count
    with tempfile.TemporaryDirectory() as folder:
        servers = Servers(ROOT / ".sandbox" / "tools", Path(folder))
        try:
            servers.start()
            for method, path in REQUESTS:
                asked = [*NAMES] * count
                random.Random(1).shuffle(asked)  # noqa: S311 - an order, no secret
                with ThreadPoolExecutor(AT_ONCE) as pool:
                    took = pool.map(
                        lambda name: seconds(servers.registry_port, name, method, path),  # noqa: B023 - within the loop
                        asked,
                    )
                    times: dict[str, list[float]] = {name: [] for name in NAMES}
                    for name, each in zip(asked, took, strict=True):
                        times[name].append(each)
                print(f"{method} {NAMES[0]}: {statistics.median(times[NAMES[0]]) * 1000:.2f} ms")
                for name in NAMES[1:]:
                    p = probability(times[NAMES[0]], times[name])
                    median = statistics.median(times[name]) * 1000
                    print(f"{method} {name}: {median:.2f} ms, p {p:.2f}")
        finally:
            servers.stop_all()


if __name__ == "__main__":
    main()
