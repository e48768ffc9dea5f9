"""Random requests to the auth proxy, and what the documentation says about each of them."""

from __future__ import annotations

import base64
import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote_plus

RIGHTS: dict[str, tuple[list[str], list[str]]] = {
    "admin": (["*"], ["*"]),
    "pull": ([], ["*"]),
    "ci": (["team-a/*"], ["shared/base"]),
    "dot": (["a/b.c"], []),
}
REPOSITORIES = (
    *("team-a/x", "team-a/y/z", "team-a", "team-ab/x", "shared/base", "shared/base/x"),
    *("hidden/secret", "a/b.c", "a/bbc", "blobs/uploads", "team-a/manifests/x/tags"),
)
UPLOAD = "00000000-0000-4000-8000-000000000000"

COMPONENT = re.compile(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*")
TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
DIGEST = re.compile(r"[a-z0-9]+([.+_-][a-z0-9]+)*:[A-Za-z0-9=_-]+")
"""As in https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests"""

READS: Mapping[str, tuple[str, ...]] = {
    "base": ("GET", "HEAD"),
    "catalog": ("GET",),
    "tags": ("GET",),
    "referrers": ("GET",),
    "manifests": ("GET", "HEAD"),
    "blobs": ("GET", "HEAD"),
}
WRITES: Mapping[str, tuple[str, ...]] = {
    "manifests": ("PUT", "DELETE"),
    "uploads": ("POST",),
    "upload": ("PATCH", "PUT", "GET", "HEAD", "DELETE"),
}
WITH_BODY = {("manifests", "PUT"), ("uploads", "POST"), ("upload", "PATCH"), ("upload", "PUT")}

QUERY: Mapping[str, tuple[str, ...]] = {
    "catalog": ("n", "last"),
    "tags": ("n", "last"),
    "referrers": ("artifactType",),
}
HEADERS: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("manifests", "GET"): ("accept", "if-none-match"),
    ("manifests", "HEAD"): ("accept", "if-none-match"),
    ("manifests", "PUT"): ("content-type",),
    ("blobs", "GET"): ("if-match", "if-none-match", "if-range", "range"),
    ("blobs", "HEAD"): ("if-match", "if-none-match"),
}


@dataclass(frozen=True)
class Request:
    """A request.

    Attributes:
        user: Whose login it has; empty for a wrong one or none.
        chunked: Whether its body has no length.
    """

    user: str
    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes
    chunked: bool

    def encoded(self, agent: str) -> bytes:
        headers = [("Host", "localhost"), ("User-Agent", agent), ("Connection", "close")]
        body = self.body
        if self.chunked:
            headers.append(("Transfer-Encoding", "chunked"))
            body = (b"%x\r\n%s\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n"
        elif body:
            headers.append(("Content-Length", str(len(body))))
        lines = [f"{self.method} {self.target} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in (*headers, *self.headers)]
        return "\r\n".join(lines).encode("utf-8", "surrogateescape") + b"\r\n\r\n" + body


@dataclass(frozen=True)
class Expected:
    """What is to become of a request.

    Attributes:
        status: The auth proxy's status; 0 if the registry gets the request.
        query: The parameters that the registry gets.
        headers: The headers that the registry gets, but for those that all requests have.
    """

    status: int
    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


def matched(repository: str, patterns: list[str]) -> bool:
    return any(
        repository.startswith(x[:-1]) if x.endswith("*") else repository == x for x in patterns
    )


def may_pull(user: str, repository: str) -> bool:
    return matched(repository, [*RIGHTS[user][0], *RIGHTS[user][1]])


def route(path: str) -> tuple[str, str] | None:
    """Return the kind of a path and its repository."""
    if path in {"/v2/", "/v2/_catalog"}:
        return ("base" if path == "/v2/" else "catalog"), ""
    if not path.startswith("/v2/") or path.count("/") < 4:
        return None
    *name, kind, reference = path.removeprefix("/v2/").split("/")
    good: object
    if kind == "uploads" and name and name[-1] == "blobs":
        kind = "upload" if reference else kind
        good = not reference or re.fullmatch("[0-9a-f-]{36}", reference)
        name = name[:-1]
    elif kind == "manifests":
        good = TAG.fullmatch(reference) or DIGEST.fullmatch(reference)
    elif kind in {"blobs", "referrers"}:
        good = DIGEST.fullmatch(reference)
    else:
        good = kind == "tags" and reference == "list"
    repository = "/".join(name)
    if not good or not name or len(repository) > 255 or not all(map(COMPONENT.fullmatch, name)):
        return None
    return kind, repository


def parameters(query: str) -> dict[str, str]:
    """Return a query's parameters as Go's url.ParseQuery reads them, and Caddy joins them."""
    found: dict[str, list[str]] = {}
    for pair in query.split("&"):
        if ";" in pair or re.search("%(?![0-9A-Fa-f]{2})", pair):
            continue
        name, _, value = pair.partition("=")
        found.setdefault(unquote_plus(name), []).append(unquote_plus(value))
    return {name: ",".join(values) for name, values in found.items()}


def expected(request: Request) -> Expected:
    path, _, query = request.target.partition("?")
    found = route(path)
    if not found:
        return Expected(404)
    if not request.user:
        return Expected(401)
    kind, repository = found
    reads, writes = READS.get(kind, ()), WRITES.get(kind, ())
    if request.method not in {*reads, *writes}:
        return Expected(405)
    has_body = bool(request.body) or request.chunked
    if has_body and (kind, request.method) not in WITH_BODY:
        return Expected(413)
    sent: dict[str, list[str]] = {}
    for name, value in request.headers:
        sent.setdefault(name.lower(), []).append(value.strip(" \t"))
    joined = {name: ",".join(values) for name, values in sent.items()}
    chunk = (kind, request.method) in {("upload", "PATCH"), ("upload", "PUT")}
    if chunk and not re.fullmatch(r"|\d{1,18}-\d{1,18}", joined.get("content-range", "")):
        return Expected(416)
    pushes = matched(repository, RIGHTS[request.user][0])
    pulls = pushes or matched(repository, RIGHTS[request.user][1])
    if not (pushes or kind == "base" or (pulls and request.method in reads)):
        return Expected(403)
    short = 0 < len(request.body) < 30_000 and not request.chunked
    # schemaVersion is 2 in all that the registry takes.
    if short and kind == "manifests" and not re.search(rb":\s*2\s*[,}]", request.body):
        return Expected(400)
    given = parameters(query)
    names = QUERY.get(kind, ())
    if kind == "upload":
        names = ("_state", "digest") if request.method in {"PATCH", "PUT"} else ("_state",)
    passed = {name: given.get(name, "") for name in names}
    source = given.get("from", "")
    valid = source and all(map(COMPONENT.fullmatch, source.split("/")))
    if kind == "uploads" and valid and may_pull(request.user, source):
        passed = {"mount": given.get("mount", ""), "from": source}
    headers = {name: joined.get(name, "") for name in HEADERS.get((kind, request.method), ())}
    if chunk or (kind == "uploads" and has_body):
        headers = {"content-type": "application/octet-stream"}
        headers["content-range"] = joined.get("content-range", "")
    return Expected(
        0, {k: v for k, v in passed.items() if v}, {k: v for k, v in headers.items() if v}
    )


def requests(seed: int, digests: Mapping[str, str]) -> Iterator[Request]:
    """Yield requests without end; the same for the same seed.

    Args:
        digests: A layer of each repository.
    """
    rng = random.Random(seed)
    while True:
        yield _request(rng, digests)


ODD_PATHS = (
    lambda p: p.replace("/", "//", 2), lambda p: p + "/", lambda p: p.replace("a", "%61"),
    lambda p: "/" + p[1:].replace("/", "%2F"), lambda p: p.replace("/v2/", "/v2/../v2/"), str.upper,
    lambda p: p.replace("/v2/", "/v2/./"), lambda p: p + "%00", lambda p: p + ";x=y",
    lambda p: "http://localhost" + p, lambda p: p.replace("/v2/", "/v2/hidden/secret/../../"),
    lambda p: p.replace("/v2/", "/v1/"), lambda p: p.replace("/v2/", "/v2/" + "a/" * 125),
)  # fmt: skip
FORM_TYPES = (
    "application/x-www-form-urlencoded", "APPLICATION/X-WWW-FORM-URLENCODED; charset=utf-8",
    "\xa0application/x-www-form-urlencoded", "\u2003application/x-www-form-urlencoded",
    "\u3000application/x-www-form-urlencoded", "\x85application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x", "\xa0multipart/form-data; boundary=x",
    "application/x-www-form-urlencoded,", '"application/x-www-form-urlencoded"',
    "application/vnd.oci.image.manifest.v1+json", "application/octet-stream", "text/plain", "",
)  # fmt: skip
OTHER_HEADERS = (
    ("X-HTTP-Method-Override", "DELETE"), ("X-Original-URL", "/v2/hidden/secret/tags/list"),
    ("X-Forwarded-Host", "evil"), ("X-Forwarded-For", "1.2.3.4"), ("Forwarded", "for=1.2.3.4"),
    ("Connection", "Authorization, X-Forwarded-For"), ("Upgrade", "h2c"), ("Cookie", "a=b"),
    ("HTTP2-Settings", "AAMAAABkAAQAAP__"), ("TE", "trailers"), ("Via", "1.1 x"),
    ("If-None-Match", '"x"'), ("Accept", "*/*"), ("Accept", "a/b, c/d"), ("Range", "bytes=0-3"),
    ("Content-Range", "0-9"), ("Content-Range", "bytes 0-9/10"), ("Content-Encoding", "gzip"),
    ("If-Range", '"x"'), ("Early-Data", "1"),
    ("Docker-Upload-UUID", UPLOAD),
)  # fmt: skip


def _login(rng: random.Random) -> tuple[str, list[tuple[str, str]]]:
    user = rng.choice((*RIGHTS, "ci", "ci", "dot"))
    token = base64.b64encode(f"{user}:{user}".encode()).decode()
    header = ("Authorization", f"{rng.choice(('Basic', 'basic', 'BASIC'))} {token}")
    if rng.random() < 0.95:
        return user, [header]
    wrong = base64.b64encode(f"{user}:wrong".encode()).decode()
    return "", rng.choice(
        (
            *([], [header, header], [("Authorization", f"Basic {wrong}")]),
            *([("Authorization", f"Bearer {token}")], [("Authorization", token)]),
            *([("Authorization", f"Basic  {token}")], [("X-Authorization", header[1])]),
        )
    )


def _request(rng: random.Random, digests: Mapping[str, str]) -> Request:
    repository, other = rng.choices(REPOSITORIES, k=2)
    digest = digests[rng.choice((repository, other))]
    path = rng.choice(
        (
            *("/v2/", "/v2/_catalog", f"/v2/{repository}/tags/list"),
            *(f"/v2/{repository}/manifests/{x}" for x in ("1", digest)),
            *(f"/v2/{repository}/blobs/{digest}", f"/v2/{repository}/referrers/{digest}"),
            *[f"/v2/{repository}/blobs/uploads/"] * 4,
            *[f"/v2/{repository}/blobs/uploads/{UPLOAD}"] * 2,
        )
    )
    if rng.random() < 0.1:
        path = rng.choice(ODD_PATHS)(path)
    names = (
        *("n", "last", "digest", "mount", "from", "from", "mount", "_state", "FROM", "x"),
        "fro%6d",
    )
    values = {
        "n": "1", "last": "a", "digest": digest, "_state": "AAAA", "x": "y&from=hidden%2Fsecret",
        "mount": digests[other], "FROM": other, "from": other, "fro%6d": other,
    }  # fmt: skip
    pairs = []
    for name in rng.sample(names, rng.choice((0, 0, 1, 2, 2, 3))):
        value = values[name]
        if rng.random() < 0.4:
            value = rng.choice(
                (
                    *(value.replace("/", "%2F").replace(":", "%3A"), value + ",x", value + "%"),
                    *(f"team-a/../{value}", value.upper(), f"shared/base%00{value}", f"+{value}"),
                )
            )
        pairs.append(f"{name}={value}")
    query = rng.choice(("&", "&", "&", ";")).join(pairs)
    form = f"from={other}&mount={digests[other]}&digest={digest}".encode()
    part = b'--x\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
    multipart = part % (b"from", other.encode()) + part % (b"mount", digests[other].encode())
    odd = (b"{}", b"x" * 300_000, b'{"schemaVersion":2}', b'{"a\xff":\n2 ,', b"2" * 20_000)
    bodies = (b"", b"", form, form, multipart + b"--x--\r\n", *odd)
    user, headers = _login(rng)
    if rng.random() < 0.6:
        headers.append(("Content-Type", rng.choice(FORM_TYPES)))
    headers += rng.sample(OTHER_HEADERS, rng.choice((0, 1, 1, 2, 3)))
    return Request(
        user=user,
        method=rng.choice(
            (*("GET", "HEAD", "POST", "POST", "PUT", "PATCH", "DELETE"), "get", "PURGE")
        ),
        target=path + (f"?{query}" if query else ""),
        headers=headers,
        body=rng.choice(bodies),
        chunked=rng.random() < 0.2,
    )
