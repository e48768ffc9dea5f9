"""Draw docs/dashboard.svg: `make dashboard`.

It starts a sandbox of its own, uses it for some minutes, asks its Prometheus what the dashboard's
panels ask, and wipes it. Grafana is no part of the sandbox, so this is a drawing of the panels, not
Grafana's.
"""

from __future__ import annotations

import json
import re
import ssl
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, FuncFormatter

from bench.__main__ import NAME, ROOT, sandbox
from components.monitoring.alerts import alert_groups
from components.monitoring.dashboard import dashboard
from sandbox import lifecycle
from tests.sandbox import prometheus
from tests.sandbox.clients import send
from tests.sandbox.crane import logged_in
from tests.sandbox.helpers import Sandbox

SVG = ROOT / "docs" / "dashboard.svg"
MINUTES = 4
STEP_SECONDS = 5
UNITS = {
    "reqps": FuncFormatter(lambda value, _: f"{value:g}/s"),
    "Bps": EngFormatter("B/s"),
    "bytes": EngFormatter("B"),
    "s": EngFormatter("s"),
    "none": FuncFormatter(lambda value, _: f"{value:g}"),
}
"""How a unit of Grafana's is written."""


def main() -> None:
    """Bring up a sandbox with Prometheus, use it, and draw."""
    layout = lifecycle.claim(ROOT, NAME)
    sandbox(layout, "wipe")
    try:
        sandbox(layout, "up")
        stack = Sandbox(layout, "")
        stack.config(monitoring__enabled=True)
        stack.pulumi("up", "--yes", "--skip-preview")
        prometheus.start(stack, alert_groups("registry", {}))
        start = time.time()
        with tempfile.TemporaryDirectory() as folder:
            use(stack, Path(folder))
        draw(stack, start, time.time())
    finally:
        sandbox(layout, "wipe")


def use(stack: Sandbox, folder: Path) -> None:
    """Push and pull, log in wrongly in the second minute, and run the maintenance in the third."""
    crane = logged_in(stack, stack.registry, folder / "crane", stack.password)
    trust = ssl.create_default_context(cafile=str(stack.layout.pki / "ca.crt"))
    url = f"https://{stack.registry}/v2/"
    wrong = partial(send, url, login="admin:wrong", ssl_context=trust)
    for minute in range(MINUTES):
        print(f"minute {minute + 1} of {MINUTES}")
        end = time.monotonic() + 60
        if minute == 1:
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(lambda _: wrong(), range(100)))
        if minute == 2:
            stack.kubectl(
                *("create", "job", "maintenance-by-hand", "--from=cronjob/maintenance"),
                "--namespace=registry",
            )
        number = 0
        while time.monotonic() < end:
            number += 1
            crane.push(f"team/app:{minute}-{number}")
            for _ in range(minute):
                crane.pull(f"team/app:{minute}-{number}")


def draw(stack: Sandbox, start: float, end: float) -> None:
    """Draw the panels, in the dashboard's order."""
    panels = json.loads(dashboard())["panels"]
    figure, places = pyplot.subplots(len(panels) // 2, 2, figsize=(12, 9))
    for panel, place in zip(panels, places.flat, strict=True):
        for legend, times, values in lines(stack, panel, start, end):
            place.plot([(x - start) / 60 for x in times], values, label=legend, linewidth=1.2)
        decorate(place, panel)
    figure.tight_layout()
    figure.savefig(SVG, metadata={"Date": None})


def decorate(place: Axes, panel: dict[str, Any]) -> None:
    """Add all that is not a line."""
    place.set_title(panel["title"], fontsize=11)
    # Room for the legend.
    place.set_ylim(0, 1.5 * place.get_ylim()[1])
    place.yaxis.set_major_formatter(UNITS[panel["fieldConfig"]["defaults"]["unit"]])
    place.set_xlabel("minutes", fontsize=8)
    place.grid(alpha=0.3)
    place.legend(fontsize=7, loc="upper left", ncols=3)


def lines(
    stack: Sandbox, panel: dict[str, Any], start: float, end: float
) -> Iterator[tuple[str, list[float], list[float]]]:
    """Yield the legend, the times and the values of each line of a panel."""
    for target in panel["targets"]:
        asked = {
            "query": prometheus.query_of(target),
            "start": start,
            "end": end,
            "step": STEP_SECONDS,
        }
        for series in prometheus.api(stack, f"query_range?{urlencode(asked)}")["result"]:
            times, values = zip(*series["values"], strict=True)
            legend = filled_in(target["legendFormat"], series["metric"])
            yield legend, list(times), [float(value) for value in values]


def filled_in(legend: str, labels: dict[str, str]) -> str:
    """Replace each ``{{label}}`` by its value."""
    return re.sub(r"{{(\w+)}}", lambda match: labels[match[1]], legend)


if __name__ == "__main__":
    main()
