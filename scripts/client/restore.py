"""List images that were deleted or overwritten, and bring them back.

    python3 -m scripts.client.restore team/app
    python3 -m scripts.client.restore team/app 1.2
    python3 -m scripts.client.restore --all --since 2026-11-25T18:00

Blobs outlive their tags and links, and blobs that the maintenance deletes leave a copy for a while.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path

from scripts.client import gone
from scripts.client.bring_back import Finder, Parts, RestoreError, bring_back, read
from scripts.maintenance import history, state
from scripts.maintenance.history import Gone
from scripts.maintenance.images import subject_of
from scripts.maintenance.keys import DIGEST, REVISIONS, blob_key, link_key, tag_key
from scripts.maintenance.references import References
from scripts.maintenance.remembered import date
from scripts.shared.objects import Objects, StorageError
from scripts.shared.registry_client import Registry, add_certificate, basic, ssl_context
from scripts.shared.storage_arguments import add_arguments, objects_of, stack_output

_REPOSITORY = re.compile(
    r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*"
)
"""https://github.com/distribution/reference/blob/main/regexp.go"""


class Restore:
    """Brings images back; without a registry that can be asked, they are not read."""

    def __init__(self, objects: Objects, registry: Registry | None) -> None:
        self._objects, self._registry = objects, registry
        self._history, self._state = history.load(objects), state.load(objects)

    def missing(self, repository: str) -> Iterator[str]:
        """Yield what is gone, of one repository or, if it is empty, of all."""
        known = gone.versions(self._objects, self._history, repository)
        missing = gone.missing(self._objects, known)
        if missing:
            yield from gone.lines(self._objects, self._state, missing)
        else:
            yield "nothing is known to be gone"

    def tag(self, repository: str, tag: str, time: float | None) -> Iterator[str]:
        """Bring back what a tag named, and say what was done.

        Args:
            time: What it named then, in seconds since 1970; without it, what it named before it was
                deleted or overwritten.

        Raises:
            RestoreError: If that is not known, or is not there any more.
        """
        content = self._objects.get(tag_key(repository, tag)) or b""
        current = content.decode(errors="replace")
        known = gone.versions(self._objects, self._history, repository)
        versions = [x for x in known if x.tag == tag]
        wanted = (x for x in versions if (x.digest != current if time is None else x.since <= time))
        version = next(wanted, None)
        if version is None:
            named = [f"{x.digest} from {date(x.since)} to {date(x.seen)}" for x in versions]
            what = "anything else" if time is None else f"anything on {date(time)}"
            raise RestoreError(
                f"{repository}:{tag} is not known to have named {what}; it is known to have "
                f"named {', '.join(named or ['nothing'])}"
            )
        yield from self._bring_back([version], known)

    def digest(self, repository: str, digest: str) -> Iterator[str]:
        """Bring back an image without a tag; otherwise as :meth:`tag`."""
        known = gone.versions(self._objects, self._history, repository)
        yield from self._bring_back([_untagged(repository, digest)], known)

    def all(self, repository: str, since: float) -> Iterator[str]:
        """Bring back what tags named last that went since some time, and name nothing now.

        Args:
            repository: Of one repository; empty for all.
            since: The time, in seconds since 1970.
        """
        known = gone.versions(self._objects, self._history, repository)
        missing = gone.missing(self._objects, known)
        last = {
            (x.gone.repository, x.gone.tag): x.gone
            for x in reversed(missing)
            if not x.current and x.gone.noticed >= since
        }
        if not last:
            yield f"nothing is known to be gone since {date(since)}"
        yield from self._bring_back(list(last.values()), known)

    def _bring_back(self, wanted: Sequence[Gone], known: Iterable[Gone]) -> Iterator[str]:
        """Bring back images, and what is attached to them, and say what was done."""
        found: dict[Gone, Parts] = {}
        problems = []
        attached = self._attached(known)
        describing = References(self._objects).describing()
        while wanted:
            results = self._objects.each(self._find, wanted)
            found.update(
                {x: parts for x, parts in zip(wanted, results) if isinstance(parts, Parts)}
            )
            problems += [x for x in results if isinstance(x, str)]
            held = {
                (x.repository, digest) for x, parts in found.items() for digest in parts.manifests
            }
            wanted = [x for subject in held for x in attached.pop(subject, ())]
            # Attached without a tag, such as a bill of materials.
            wanted += [
                _untagged(name, digest)
                for name, subject in held
                for digest in describing.pop(subject, ())
                if self._is_gone(name, digest)
            ]
        images = [(x.repository, parts) for x, parts in found.items()]
        named = [x for x in found if x.tag]
        bring_back(self._objects, self._history, images, named)
        if self._registry:
            read(self._objects, self._registry, images, named)
        for x, parts in found.items():
            yield _line(x, parts, was_read=self._registry is not None)
        if problems:
            raise RestoreError("\n".join(problems))

    def _find(self, wanted: Gone) -> Parts | str:
        try:
            return Finder(self._objects, self._state, wanted.repository).find(wanted.digest)
        except RestoreError as error:
            seen = f":{wanted.tag}, last seen on {date(wanted.seen)}," if wanted.tag else ""
            return f"{wanted.repository}{seen or '@' + wanted.digest} is not back: {error}"

    def _is_gone(self, repository: str, digest: str) -> bool:
        """Return whether a manifest was in a repository, and is not whole there."""
        link = self._objects.head(link_key(repository, REVISIONS, digest))
        if not link:
            return self._state.has_dropped(repository, digest)
        return not self._objects.head(blob_key(digest))

    def _attached(self, known: Iterable[Gone]) -> dict[tuple[str, str], list[Gone]]:
        """Return the tags that are named after a digest, such as a signature's, and are gone."""
        attached: dict[tuple[str, str], list[Gone]] = {}
        last = {(x.repository, x.tag): x for x in reversed(list(known)) if subject_of(x.tag)}
        for x in gone.missing(self._objects, last.values()):
            if not x.current:
                subject = x.gone.repository, subject_of(x.gone.tag)
                attached.setdefault(subject, []).append(x.gone)
        return attached


def _untagged(repository: str, digest: str) -> Gone:
    return Gone(repository, "", digest, 0, 0, 0, "", 0)


def _line(image: Gone, parts: Parts, *, was_read: bool) -> str:
    name = f"{image.repository}:{image.tag}" if image.tag else image.repository
    odd = f", as far as it was there: {parts.odd}" if parts.odd else ""
    done = "is back" if was_read else "is written, and was not read: no registry is given"
    return f"{name}@{image.digest} {done}{odd}"


def registry_of(args: argparse.Namespace) -> Registry | None:
    """Return the registry that the arguments name, or the selected stack; None for a file alone."""
    if args.registry:
        url = args.registry if "://" in args.registry else f"https://{args.registry}"
        login = basic(args.username, args.password_file.read_text().rstrip("\n"))
    elif args.storage:
        return None
    else:
        outputs = stack_output()
        if not {"registry", "username", "password"} <= outputs.keys():
            raise StorageError("the stack has no registry; to create it: pulumi up")
        url = f"https://{outputs['registry']}"
        login = basic(outputs["username"], outputs["password"])
    return Registry(url, login, ssl_context(args))


def _moment(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text.removesuffix("Z"))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text} is no time such as 2026-11-25T18:00") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()


def _name(text: str) -> str:
    if text and not _REPOSITORY.fullmatch(text):
        message = f"{text} is no repository such as team/app; a tag is an argument of its own"
        raise argparse.ArgumentTypeError(message)
    return text


def arguments() -> argparse.Namespace:
    """Return the arguments of the command line; exits with a message if they mean nothing."""
    parser = argparse.ArgumentParser(
        description="List images that were deleted or overwritten, and bring them back.",
        epilog="Exits with 1 if not all is back that was asked for.",
    )
    add_arguments(parser)
    parser.add_argument("--registry", help="where to read what is back, if --storage is given")
    parser.add_argument("--username", help="who may pull it")
    parser.add_argument("--password-file", type=Path, help="that user's password")
    add_certificate(parser)
    parser.add_argument("repository", nargs="?", type=_name, default="", help="such as team/app")
    parser.add_argument("reference", nargs="?", help="a tag, or a digest such as sha256:0123...")
    example = "such as 2026-11-25 or 2026-11-25T18:00, in UTC"
    parser.add_argument(
        "--at", type=_moment, metavar="TIME", help=f"what the tag named then, {example}"
    )
    parser.add_argument(
        "--all", action="store_true", help="all tags that went since then, and name nothing now"
    )
    parser.add_argument("--since", type=_moment, metavar="TIME", help=f"with --all: {example}")
    args = parser.parse_args()
    if args.all != (args.since is not None) or (args.all and args.reference):
        parser.error("--all and --since TIME go together, without a tag")
    if args.at is not None and not args.reference:
        parser.error("--at TIME needs a tag")
    if args.registry and not (args.username and args.password_file):
        parser.error("--registry needs --username and --password-file")
    return args


def _lines(restore: Restore, args: argparse.Namespace) -> Iterator[str]:
    if args.all:
        return restore.all(args.repository, args.since)
    if not args.reference:
        return restore.missing(args.repository)
    if DIGEST.fullmatch(args.reference):
        return restore.digest(args.repository, args.reference)
    return restore.tag(args.repository, args.reference, args.at)


def main() -> int:
    """Run from the command line, and return the exit status."""
    args = arguments()
    try:
        with objects_of(args) as objects:
            restores = args.all or args.reference
            restore = Restore(objects, registry_of(args) if restores else None)
            for line in _lines(restore, args):
                print(line, flush=True)
    except (RestoreError, StorageError, OSError) as error:
        print(f"FAILED: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
