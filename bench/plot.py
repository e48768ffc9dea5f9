"""Draw docs/performance.csv as docs/performance.svg, and print its medians as a Markdown table."""

from __future__ import annotations

import csv
from collections import defaultdict
from statistics import median

from matplotlib import pyplot

from bench.compare import CSV, IMAGES, OURS, PLAIN, SEED

WORKS = [(image, work) for image in IMAGES for work in ("push", "push again", "pull")]
REGISTRIES = {SEED: "#9aa5b1", PLAIN: "#5b8db8", OURS: "#d1495b"}
Seconds = dict[tuple[int, str, str, str], list[float]]


def main() -> None:
    """Read the raw data, write the plot, and print the table."""
    seconds: Seconds = defaultdict(list)
    with CSV.open() as file:
        for row in csv.DictReader(file):
            key = (int(row["delay_ms"]), row["image"], row["work"], row["registry"])
            seconds[key].append(float(row["seconds"]))
    draw(seconds)
    print("| S3 | work | " + " | ".join(REGISTRIES) + " | of the seed | of plain |")
    print("|---|---|---|---|---|---|---|")
    for delay in delays(seconds):
        for image, work in WORKS:
            seed, plain, ours = (median(seconds[delay, image, work, x]) for x in REGISTRIES)
            times = f"{seed:.2f} s | {plain:.2f} s | {ours:.2f} s"
            ratios = f"{ours / seed:.2f} | {ours / plain:.2f}"
            print(f"| {delay} ms | {work} {image} | {times} | {ratios} |")


def delays(seconds: Seconds) -> list[int]:
    """Return the delays that were measured, in milliseconds."""
    return sorted({delay for delay, *_ in seconds})


def draw(seconds: Seconds) -> None:
    """Write the plot: the median, and a line from the fastest to the slowest round."""
    count = len(delays(seconds))
    figure, panels = pyplot.subplots(count, 1, figsize=(9, 3 * count), sharex=True)
    for delay, panel in zip(delays(seconds), panels, strict=True):
        for shift, (registry, color) in enumerate(REGISTRIES.items(), -1):
            rounds = [seconds[delay, image, work, registry] for image, work in WORKS]
            middle = [median(x) for x in rounds]
            below = [m - min(x) for m, x in zip(middle, rounds, strict=True)]
            above = [max(x) - m for m, x in zip(middle, rounds, strict=True)]
            places = [x + 0.27 * shift for x in range(len(WORKS))]
            panel.bar(places, middle, 0.25, yerr=(below, above), color=color, label=registry)
        panel.set(yscale="log", ylabel="seconds", title=f"{delay} ms to the S3 server")
        panel.grid(axis="y", alpha=0.3)
    panels[0].legend()
    panels[-1].set_xticks(range(len(WORKS)), [f"{work}\n{image}" for image, work in WORKS])
    figure.tight_layout()
    figure.savefig(CSV.with_suffix(".svg"), metadata={"Date": None})


if __name__ == "__main__":
    main()
