"""The command line: `python -m live --help`."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from live import droplet
from live.asking import LIMIT_SECONDS, UsageError, preflight
from live.cleaning import Cleaner
from live.cloud import Cloud, CloudError
from live.commands import ROOT
from live.journal import BusyError, Journal
from live.names import PREFIX, Run
from live.running import Options, Steps
from live.transcript import Transcript
from settings.credentials import CloudAccess, find_access
from settings.types import SpacesRegion

HOME = ROOT / ".live"

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command, and return the exit status."""
    args = _parse(argv)
    try:
        access = _access(args.config)
        return run(args, access) if args.command == "run" else clean(args, access)
    except (UsageError, BusyError, CloudError, ValueError) as error:
        return _fail(str(error))


def run(args: argparse.Namespace, access: CloudAccess) -> int:
    """Run the acceptance test, and delete all that it has created."""
    cloud = Cloud(access)
    kubeconfig = preflight(args, cloud, HOME)
    journal = Journal.begin(HOME, Run.new(), region=args.region)
    transcript = HOME / f"{journal.run.name}.txt"
    say = Transcript(transcript).say
    cleaner = Cleaner(run=journal.run, cloud=cloud, access=access, region=args.region, say=say)
    options = Options(
        region=args.region,
        size=args.size,
        k3s=args.k3s,
        domain=args.domain,
        image=args.image,
        acme_roots=args.acme_roots,
        settings=dict(args.config),
    )
    failure = ""
    with journal.held() as commands:
        steps = Steps(journal=journal, commands=commands, cloud=cloud, options=options, say=say)
        try:
            _stop_by_signal()
            signal.alarm(LIMIT_SECONDS)
            steps.run(kubeconfig)
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - it is told, and all deleted
            failure = str(error) or type(error).__name__
        finally:
            _go_on_after_signals(say)
            if failure:
                say(f"FAILED: {failure}")
            left = cleaner.clean(journal, commands)
    return _report(journal, left, failure, transcript)


def _report(journal: Journal, left: list[str], failure: str, transcript: Path) -> int:
    if left:
        return _fail(f"NOT EVERYTHING IS DELETED:\n  {_lines(left)}\nto try again: make live-clean")
    journal.end()
    print(f"nothing is left of {journal.run.name}: no droplet, Space, key or tag")
    if failure:
        return _fail(f"the run failed; transcript: {transcript}")
    print(f"passed; transcript: {transcript}")
    return 0


def clean(args: argparse.Namespace, access: CloudAccess) -> int:
    """Delete what runs have left that were killed, or could not delete it."""
    cloud = Cloud(access)
    status = 0
    journals = {journal.run.name: journal for journal in Journal.all(HOME)}
    names = [args.run] if args.run else sorted(journals)
    for name in names:
        status |= _clean_one(args, cloud, access, Run(name), journals.get(name))
    if strangers := [name for name in _run_names(cloud) if name not in names]:
        print(
            f"runs of other machines, or whose folder is gone, have left something:\n  "
            f"{_lines(strangers)}\nif none of them is going on: make live-clean RUN=<name>"
        )
    if not names:
        print("no run has left anything that this machine knows of")
    return status


def _clean_one(
    args: argparse.Namespace, cloud: Cloud, access: CloudAccess, run: Run, journal: Journal | None
) -> int:
    say = Transcript(HOME / f"{run.name}.txt").say if journal else print
    region = journal.facts().get("region", args.region) if journal else args.region
    cleaner = Cleaner(run=run, cloud=cloud, access=access, region=region, say=say)
    say(f"cleaning up after {run.name}")
    if journal is None:
        left = cleaner.clean(None, None)
    else:
        with journal.held() as commands:
            _go_on_after_signals(say)
            left = cleaner.clean(journal, commands)
    if left:
        return _fail(f"NOT EVERYTHING IS DELETED:\n  {_lines(left)}\nto try again: make live-clean")
    if journal:
        journal.end()
    print(f"nothing is left of {run.name}: no droplet, Space, key or tag")
    return 0


def _run_names(cloud: Cloud) -> list[str]:
    """Return the names of all runs that the account has something of, by what has such a name."""
    named = [*cloud.droplets(), *cloud.ssh_keys(), *cloud.tags(), *cloud.spaces_keys()]
    found = set()
    for item in named:
        _, prefix, rest = item["name"].partition(PREFIX)
        try:
            found.add(Run(prefix + rest[:10]).name)
        except ValueError:
            continue
    return sorted(found)


def _access(settings: Sequence[tuple[str, str]]) -> CloudAccess:
    """Return what reaches the account, from the environment."""
    access, _ = find_access({}, os.environ)
    if not access.token:
        raise UsageError(
            "expected a DigitalOcean API token in DIGITALOCEAN_TOKEN; create one at "
            "https://cloud.digitalocean.com/account/api/tokens"
        )
    if forbidden := [key for key, _ in settings if key.startswith("digitalocean:")]:
        raise UsageError(f"--config {forbidden[0]}: the token is in the environment only")
    return access


def _stop_by_signal() -> None:
    def stop(number: int, _: object) -> None:
        reason = "out of time" if number == signal.SIGALRM else signal.Signals(number).name
        raise KeyboardInterrupt(reason)

    for number in _SIGNALS:
        signal.signal(number, stop)


def _go_on_after_signals(say: Any) -> None:  # noqa: ANN401 - print or say
    def note(number: int, _: object) -> None:
        say(
            f"{signal.Signals(number).name}: this goes on deleting; "
            f"to stop that, too, and leave things behind: kill -9 {os.getpid()}"
        )

    signal.alarm(0)
    for number in _SIGNALS:
        signal.signal(number, note)


def _lines(texts: Sequence[str]) -> str:
    return "\n  ".join(texts)


def _fail(message: str) -> int:
    print(f"error: {message}", file=sys.stderr, flush=True)
    return 1


def _setting(text: str) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError(f"{text}: expected key=value")
    return key, value


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m live",
        description="The acceptance test of a real DigitalOcean account: docs/live.md.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    start = commands.add_parser("run", help=run.__doc__, description=run.__doc__)
    start.add_argument("--yes", action="store_true", help="create without a question")
    start.add_argument("--kubeconfig", type=Path, help="your own cluster, instead of a droplet")
    start.add_argument("--size", default="s-2vcpu-4gb", help="of the droplet; %(default)s")
    start.add_argument("--k3s", default=droplet.K3S, help="its version; %(default)s")
    start.add_argument(
        "--domain", default="sslip.io", help="whose names resolve to addresses; %(default)s"
    )
    start.add_argument(
        "--image", default="docker.io/traefik/whoami:latest", help="to push; %(default)s"
    )
    start.add_argument(
        "--acme-roots", type=Path, metavar="FILE", help="of another CA than Let's Encrypt's tests"
    )
    start.add_argument(
        "--config",
        action="append",
        default=[],
        type=_setting,
        metavar="KEY=VALUE",
        help="one more setting of the stack; may be repeated",
    )
    cleaner = commands.add_parser("clean", help=clean.__doc__, description=clean.__doc__)
    cleaner.add_argument("--run", help="one run, by name; also one that this machine knows not")
    cleaner.set_defaults(config=[])
    for command in (start, cleaner):
        command.add_argument(
            "--region",
            choices=get_args(SpacesRegion),
            default="nyc3",
            help="of droplet and Space; %(default)s",
        )
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
