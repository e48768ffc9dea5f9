"""Measure the maintenance on a large bucket: `venv/bin/python -m bench.large_bucket IMAGES`.

The S3 server is a stand-in that makes up lists and manifests, so that the bucket needs no disk. It
prints what two runs took, neither of which deletes anything; the second one reads no manifest.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from bisect import bisect_left, bisect_right
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from scripts.maintenance.keys import (
    LAYERS,
    REVISIONS,
    blob_key,
    link_key,
    md5,
    tag_key,
)

PROGRAM = Path(__file__).parent.parent
BUCKET, PAGE = "images", 1000
LAYERS_EACH, TAGS_EACH = 5, 100
"""How many layers an image has, and how many tags a repository."""

ENTRY = (
    "<Contents><Key>{}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
    "<ETag>&quot;{}&quot;</ETag><Size>{}</Size></Contents>"
)


NO_SUCH_KEY = b"<Error><Code>NoSuchKey</Code></Error>"


def digest_of(text: str) -> str:
    """Return the digest of a text."""
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


class LargeBucket:
    """What a bucket lists that many images were pushed to, each with a tag and its own layers.

    Args:
        images: How many.

    Attributes:
        keys: All keys, in order.
    """

    def __init__(self, images: int) -> None:
        self._objects: dict[str, tuple[int, str]] = {}
        self._written: dict[str, bytes] = {}
        self._images: dict[str, int] = {}
        for number in range(images):
            self._push(number)
        self.keys = sorted(self._objects)

    def _push(self, number: int) -> None:
        name, tag = f"team/app{number // TAGS_EACH}", f"{number % TAGS_EACH}"
        manifest = self._manifest(number)
        digest = digest_of(manifest)
        self._images[blob_key(digest)] = number
        self._objects[blob_key(digest)] = len(manifest), ""
        links = {
            link_key(name, REVISIONS, digest): digest,
            tag_key(name, tag): digest,
            tag_key(name, tag, digest): digest,
        }
        for part in self._parts(number):
            self._objects[blob_key(part)] = 1_000_000, ""
            links[link_key(name, LAYERS, part)] = part
        self._objects.update({key: (len(link), md5(link)) for key, link in links.items()})

    def _parts(self, number: int) -> list[str]:
        return [digest_of(f"part {part} of {number}") for part in range(LAYERS_EACH + 1)]

    def _manifest(self, number: int) -> str:
        config, *layers = (
            {"mediaType": "application/x", "digest": part, "size": 1_000_000}
            for part in self._parts(number)
        )
        return json.dumps({"schemaVersion": 2, "config": config, "layers": layers})

    def get(self, key: str) -> bytes | None:
        """Return the content of a manifest, or of what was written."""
        if key in self._images:
            return self._manifest(self._images[key]).encode()
        return self._written.get(key)

    def put(self, key: str, content: bytes) -> str:
        """Keep what is written, and return its ETag."""
        self._written[key] = content
        return hashlib.md5(content, usedforsecurity=False).hexdigest()

    def page(self, prefix: str, after: str) -> str:
        """Return a page of a list, as XML: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html."""
        written = sorted(self._written) if prefix.startswith("maintenance/") else []
        keys = written or self.keys
        start = bisect_right(keys, after) if after else bisect_left(keys, prefix)
        chosen = keys[start : start + PAGE + 1]
        chosen = [key for key in chosen if key.startswith(prefix)]
        shown, more = chosen[:PAGE], len(chosen) > PAGE
        rows = []
        for key in shown:
            content = self._written.get(key, b"")
            size, etag = self._objects.get(key) or (len(content), md5(content.decode("latin-1")))
            rows.append(ENTRY.format(key, etag, size))
        token = f"<NextContinuationToken>{shown[-1]}</NextContinuationToken>" if more else ""
        return (
            f"<ListBucketResult><Name>{BUCKET}</Name><Prefix>{prefix}</Prefix>"
            f"<KeyCount>{len(shown)}</KeyCount><IsTruncated>{str(more).lower()}</IsTruncated>"
            f"{token}{''.join(rows)}</ListBucketResult>"
        )


class Handler(BaseHTTPRequestHandler):
    """Serves a large bucket, each response after a delay."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    bucket: LargeBucket
    delay = 0.0

    def do_GET(self) -> None:
        """Send a page of a list, or an object."""
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if "list-type" in query:
            page = self.bucket.page(query.get("prefix", ""), query.get("continuation-token", ""))
            self._respond(page.encode())
        else:
            self._respond(self.bucket.get(self._key()))

    def do_HEAD(self) -> None:
        """Send the same without a body."""
        self.do_GET()

    def do_PUT(self) -> None:
        """Keep an object."""
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self._respond(b"", self.bucket.put(self._key(), content))

    def _key(self) -> str:
        return unquote(urlsplit(self.path).path).removeprefix(f"/{BUCKET}/")

    def _respond(self, content: bytes | None, etag: str = "") -> None:
        time.sleep(self.delay)
        self.send_response(404 if content is None else 200)
        content = NO_SUCH_KEY if content is None else content
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Last-Modified", self.date_time_string())
        self.send_header("ETag", f'"{etag or hashlib.md5(content).hexdigest()}"')  # noqa: S324 - S3's
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


def serve(images: int, delay: float, started: Connection) -> None:
    """Serve a large bucket, and send the port and the number of objects."""
    Handler.bucket, Handler.delay = LargeBucket(images), delay
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    started.send((server.server_port, len(Handler.bucket.keys)))
    server.serve_forever()


def run(endpoint: str, folder: Path) -> str:
    """Run the maintenance once, and return what it took, as a row of a table."""
    storage, stack, password = (folder / name for name in ("storage.json", "stack", "password"))
    connection = {"endpoint": endpoint, "region": "r", "bucket": BUCKET, "root_directory": ""}
    connection |= {"path_style": "true", "access_key": "a", "secret_key": "b"}
    storage.write_text(json.dumps(connection))
    stack.write_text("1 bench")
    password.write_text("none")
    command = [sys.executable, "-m", "scripts.maintenance.maintain", f"--storage={storage}"]
    command += [f"--stack-file={stack}", "--pods=127.0.0.1:9", "--username=none"]
    command += [
        f"--password-file={password}",
        "--keep-days=7",
        '--retention={"rules": [], "untagged_days": null}',
    ]
    began = time.monotonic()
    process = subprocess.Popen(command, cwd=PROGRAM, stdout=subprocess.PIPE, text=True)
    assert process.stdout  # noqa: S101 - it is piped
    output = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(output)
    seconds, processor = time.monotonic() - began, used.ru_utime + used.ru_stime
    return f"| {processor:.0f} s | {used.ru_maxrss // 1024} MiB | {seconds:.0f} s |"


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Measure the maintenance on a large bucket.")
    parser.add_argument("images", type=int, help="how many images of 7 blobs and 16 objects")
    parser.add_argument("--delay", type=float, default=0, help="ms that each response takes longer")
    args = parser.parse_args()
    # Processes of their own: what a process starts counts its memory, too, until it executes.
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    server = spawn.Process(target=serve, args=(args.images, args.delay / 1000, there), daemon=True)
    server.start()
    port, objects = here.recv()
    print(f"{args.images} images, {objects} objects, {args.delay} ms a response")
    print("| | processor | memory | time |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for number in ("first", "second"):
            row = run(f"http://127.0.0.1:{port}", Path(folder))
            print(f"| {number} run {row}", flush=True)


if __name__ == "__main__":
    main()
