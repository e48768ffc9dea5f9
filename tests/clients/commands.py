"""What users do with each client, but for crane: tests/soak/crane_commands.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.soak.commands import Command

A, B, KEPT = "{host}/team-a/app", "{host}/team-a/copy", "{host}/team-a/kept"
BASE, OTHER = "{host}/shared/base", "{host}/hidden/other"
NOWHERE = f"sha256:{0:064}"

_INSPECT = "skopeo inspect --tls-verify=false"
_COPY = "skopeo copy --src-tls-verify=false --dest-tls-verify=false"
_DELETE = "skopeo delete --tls-verify=false"

SKOPEO = (
    *(Command("admin", f"{_COPY} oci:{{shared}}/image:1 docker://{x}:1") for x in (A, BASE, OTHER)),
    Command("ci", f"{_COPY} oci:{{shared}}/image:1 docker://{A}:1"),
    Command("ci", f"{_COPY} --all oci:{{shared}}/index:1 docker://{A}:index"),
    Command("ci", f"{_COPY} docker://{A}:1 docker://{A}:2"),
    Command("ci", f"{_COPY} docker://{BASE}:1 docker://{B}:base"),
    Command("ci", f"{_COPY} --format=v2s2 docker://{A}:1 docker://{B}:docker"),
    Command("ci", f"{_COPY} --all docker://{A}:index docker://{B}:index"),
    Command("ci", f"{_COPY} docker://{A}:1 dir:{{folder}}/image"),
    Command("ci", f"skopeo sync --src=docker --dest=dir --src-tls-verify=false {A} {{folder}}"),
    Command("ci", f"{_INSPECT} docker://{A}:1"),
    Command("pull", f"{_INSPECT} --raw docker://{A}:index"),
    Command("pull", f"{_INSPECT} --config docker://{A}:1"),
    Command("pull", f"skopeo list-tags --tls-verify=false docker://{A}"),
    Command("pull", f"{_COPY} docker://{A}:1 dir:{{folder}}/pulled"),
    Command("pull", f"{_INSPECT} docker://{A}:missing", fails=True),
    *(Command(x, f"{_INSPECT} docker://{A}:1", fails=True) for x in ("nobody", "")),
    Command("ci", f"{_DELETE} docker://{B}:docker"),
    Command("ci", f"{_DELETE} docker://{B}:docker", fails=True),
    *(Command("ci", f"{_COPY} oci:{{shared}}/image:1 docker://{KEPT}:1") for _ in range(2)),
    Command("ci", f"{_COPY} --all oci:{{shared}}/index:1 docker://{KEPT}:1", kept=True),
    Command("ci", f"{_DELETE} docker://{KEPT}:1", kept=True),
    Command("ci", f"{_COPY} docker://{A}:1 docker://{OTHER}:2", refused=True),
    Command("ci", f"{_COPY} docker://{OTHER}:1 docker://{B}:2", refused=True),
    Command("ci", f"{_DELETE} docker://{BASE}:1", refused=True),
    Command("pull", f"{_COPY} docker://{A}:1 docker://{A}:3", refused=True),
    Command("pull", f"{_DELETE} docker://{A}:1", refused=True),
)

_STORE = "--root={folder}/store --runroot={folder}/run --storage-driver=vfs"
_PODMAN = f"podman {_STORE}"
_IMAGE = f"$({_PODMAN} images --quiet | head -1)"

PODMAN = (
    Command("new", "podman login -u admin -p admin {host}"),
    Command("new", "podman login -u admin -p wrong {host}", fails=True),
    Command("ci", f"{_PODMAN} pull --quiet oci:{{shared}}/image"),
    *(Command("ci", f"sh -c '{_PODMAN} tag {_IMAGE} {x}:1'") for x in (A, B, OTHER)),
    Command("ci", f"{_PODMAN} push {A}:1"),
    Command("ci", f"{_PODMAN} push {A}:1"),
    Command("ci", f"{_PODMAN} push {B}:1"),
    Command("ci", f"{_PODMAN} push --format=v2s2 {B}:1 {B}:docker"),
    *(
        Command("ci", f"{_PODMAN} push --compression-format={x} {B}:1 {B}:{y}")
        for x, y in (("zstd", "zstd"), ("zstd:chunked", "chunked"))
    ),
    *(Command("ci", f"{_PODMAN} push {A}:1 {KEPT}:1") for _ in range(2)),
    Command("ci", f"{_PODMAN} push --format=v2s2 {B}:1 {KEPT}:1", kept=True),
    Command("ci", f"{_PODMAN} manifest create {A}:list"),
    Command("ci", f"{_PODMAN} manifest add {A}:list docker://{A}:1"),
    Command("ci", f"{_PODMAN} manifest push --all {A}:list docker://{A}:list"),
    Command("pull", f"{_PODMAN} rmi --all --force"),
    *(Command("pull", f"{_PODMAN} pull {x}") for x in (f"{A}:1", f"{B}:zstd")),
    Command("pull", f"{_PODMAN} pull --all-tags {A}"),
    Command("pull", f"{_PODMAN} search --list-tags {A}"),
    Command("pull", f"{_PODMAN} search {{host}}/app"),
    Command("pull", f"{_PODMAN} pull {A}:missing", fails=True),
    Command("nobody", f"{_PODMAN} pull {A}:1", fails=True),
    Command("ci", f"{_PODMAN} push {A}:1 {OTHER}:1", refused=True),
    Command("pull", f"{_PODMAN} push {A}:1 {A}:2", refused=True),
    Command("ci", f"{_PODMAN} pull {OTHER}:1", refused=True),
)

_BUILDAH = f"buildah {_STORE}"
_BUILD = f"{_BUILDAH} bud --tls-verify=false --isolation=chroot --layers --timestamp=0"
_CACHE = "{host}/team-a/cache"

BUILDAH = (
    Command("new", "buildah login --tls-verify=false -u admin -p admin {host}"),
    Command("ci", f"{_BUILD} --cache-to={_CACHE} --tag={A}:built {{shared}}/build"),
    Command("ci", f"{_BUILDAH} push --tls-verify=false {A}:built"),
    Command("ci", f"{_BUILDAH} manifest create {A}:list"),
    Command("ci", f"{_BUILDAH} manifest push --all --tls-verify=false {A}:list docker://{A}:none"),
    Command("ci", f"{_BUILDAH} manifest add --tls-verify=false {A}:list docker://{A}:built"),
    Command("ci", f"{_BUILDAH} manifest push --all --tls-verify=false {A}:list docker://{A}:list"),
    Command("ci", f"{_BUILDAH} push --tls-verify=false {A}:built {KEPT}:1"),
    Command(
        "ci",
        f"{_BUILDAH} manifest push --all --tls-verify=false {A}:list docker://{KEPT}:1",
        kept=True,
    ),
    Command("ci", f"{_BUILDAH} rmi --all --force"),
    Command("ci", f"{_BUILD} --cache-from={_CACHE} --tag={B}:built {{shared}}/build"),
    Command("pull", f"{_BUILDAH} from --tls-verify=false {A}:built"),
    Command("ci", f"{_BUILDAH} push --tls-verify=false {B}:built {OTHER}:built", refused=True),
    Command("pull", f"{_BUILDAH} push --tls-verify=false {B}:built {A}:3", refused=True),
)

DOCKER = (
    Command("new", "docker login -u admin -p admin {host}"),
    Command("new", "docker login -u admin -p wrong {host}", fails=True),
    Command(
        "ci",
        f"sh -c 'docker load --quiet --input={{shared}}/image.tar && docker tag local:1 {A}:1'",
    ),
    *(Command("ci", f"docker tag local:1 {x}:1") for x in (B, OTHER)),
    Command("ci", f"docker push {A}:1"),
    Command("ci", f"docker push {A}:1"),
    Command("ci", f"docker push {B}:1"),
    Command("ci", f"docker push --all-tags {B}"),
    Command("ci", f"docker tag local:1 {KEPT}:1"),
    *(Command("ci", f"docker push {KEPT}:1") for _ in range(2)),
    Command("ci", f"docker build --quiet --tag={KEPT}:1 {{shared}}/build"),
    Command("ci", f"docker push {KEPT}:1", kept=True),
    Command("ci", f"docker manifest create --insecure {A}:list {A}:1"),
    Command("ci", f"docker manifest push --insecure {A}:list"),
    Command("ci", f"docker manifest inspect --insecure {A}:list"),
    Command("pull", f"docker image rm --force local:1 {A}:1 {B}:1"),
    Command("pull", f"docker pull {A}:1"),
    Command("pull", f"docker pull --all-tags {A}"),
    Command("pull", f"docker pull {A}:missing", fails=True),
    *(Command(x, f"docker pull {A}:1", fails=True) for x in ("nobody", "")),
    Command("ci", f"docker tag {A}:1 {OTHER}:1"),
    Command("ci", f"docker push {OTHER}:1", refused=True),
    Command("pull", f"docker push {A}:1", refused=True),
    Command("ci", f"docker pull {OTHER}:1", refused=True),
)

_REGCTL = "regctl --host=reg={host},tls=disabled"
_PUT = f"{_REGCTL} artifact put --artifact-type=application/x --file={{shared}}/file"

REGCTL = (
    *(
        Command("admin", f"{_REGCTL} image copy ocidir://{{shared}}/image:1 {x}:1")
        for x in (A, BASE, OTHER)
    ),
    Command("ci", f"{_REGCTL} image copy ocidir://{{shared}}/index:1 {A}:index"),
    Command("ci", f"{_REGCTL} image copy ocidir://{{shared}}/image:1 {KEPT}:1"),
    Command("ci", f"{_REGCTL} image copy ocidir://{{shared}}/index:1 {KEPT}:1", kept=True),
    Command("ci", f"{_REGCTL} tag delete {KEPT}:1", kept=True),
    Command("ci", f"{_PUT} {A}:artifact"),
    Command("ci", f"{_PUT} --subject={A}:1"),
    Command("ci", f"{_REGCTL} image copy --digest-tags --referrers {A}:1 {B}:1"),
    Command("ci", f"{_REGCTL} image copy --digest-tags --referrers {A}:index {B}:index"),
    Command("ci", f"{_REGCTL} image copy {BASE}:1 {B}:base"),
    Command("ci", f"{_REGCTL} image mod {A}:1 --create=mod --label=a=b"),
    Command("ci", f"{_REGCTL} index create {A}:created --ref={A}:1"),
    *(Command("pull", f"{_REGCTL} artifact {x} {A}:1") for x in ("list", "tree")),
    Command("pull", f"{_REGCTL} artifact get {A}:artifact"),
    Command("pull", f"{_REGCTL} image export {A}:index {{folder}}/image.tar"),
    Command("ci", f"{_REGCTL} image import {B}:imported {{folder}}/image.tar"),
    *(
        Command("pull", f"{_REGCTL} {x} {A}:index")
        for x in ("manifest get", "manifest head", "image digest")
    ),
    Command("pull", f"{_REGCTL} image inspect {A}:1"),
    *(Command("pull", f"{_REGCTL} tag list {x}{A}") for x in ("", "--limit=1 ")),
    Command("pull", f"{_REGCTL} repo list {{host}}"),
    Command("pull", f"{_REGCTL} blob head {A} {NOWHERE}", fails=True),
    Command("pull", f"{_REGCTL} manifest get {A}:missing", fails=True),
    Command("nobody", f"{_REGCTL} tag list {A}", fails=True),
    Command("ci", f"{_REGCTL} tag delete {A}:created"),
    Command("ci", f"{_REGCTL} manifest delete --force-tag-dereference {A}:mod"),
    Command("ci", f"{_REGCTL} repo list {{host}}", refused=True),
    Command("ci", f"{_REGCTL} manifest get {OTHER}:1", refused=True),
    Command("ci", f"{_REGCTL} tag delete {BASE}:1", refused=True),
    Command("pull", f"{_REGCTL} tag delete {A}:1", refused=True),
)

_CREATED = "--annotation=org.opencontainers.image.created=2000-01-01T00:00:00Z"
_PUSH = f"oras push --plain-http --no-tty {_CREATED} --disable-path-validation"
_ATTACH = f"oras attach --plain-http --no-tty {_CREATED} --artifact-type=application/x"
_CP = "oras cp --from-plain-http --to-plain-http --no-tty --recursive"

ORAS = (
    Command("new", "oras login --plain-http -u ci -p ci {host}"),
    Command("new", "oras login --plain-http -u ci -p wrong {host}", fails=True),
    *(
        Command("admin", f"{_PUSH} --artifact-type=application/x {x}:1 {{shared}}/file")
        for x in (A, BASE, OTHER)
    ),
    Command("ci", f"{_PUSH} {A}:1 --artifact-type=application/x {{shared}}/file"),
    Command("ci", f"{_CP} --from-oci-layout {{shared}}/index:1 {A}:index"),
    Command("ci", f"{_ATTACH} --disable-path-validation {A}:1 {{shared}}/file"),
    Command("ci", f"{_ATTACH} --disable-path-validation {A}:index {{shared}}/file"),
    Command("pull", f"oras discover --plain-http {A}:1"),
    Command("ci", f"{_CP} {A}:1 {B}:1"),
    Command("ci", f"{_CP} {A}:index {B}:index"),
    Command("ci", f"{_CP} {BASE}:1 {B}:base"),
    Command("ci", f"oras tag --plain-http {A}:1 2 latest"),
    *(Command("ci", f"{_CP} {A}:1 {KEPT}:1") for _ in range(2)),
    Command("ci", f"{_CP} {A}:index {KEPT}:1", kept=True),
    *(
        Command("pull", f"oras {x} --plain-http {A}:1")
        for x in ("manifest fetch", "manifest fetch-config", "resolve")
    ),
    Command("pull", f"oras pull --plain-http --no-tty --allow-path-traversal {A}:1"),
    Command("pull", f"oras repo tags --plain-http {A}"),
    Command("pull", "oras repo ls --plain-http {host}"),
    Command("pull", f"oras manifest fetch --plain-http {A}:missing", fails=True),
    Command("nobody", f"oras repo tags --plain-http {A}", fails=True),
    Command("ci", f"oras blob push --plain-http --no-tty {A} {{shared}}/file"),
    Command("ci", f"oras manifest delete --plain-http --force {B}:base"),
    Command("ci", f"oras manifest delete --plain-http --force {B}:missing"),
    Command("ci", "oras repo ls --plain-http {host}", refused=True),
    Command("ci", f"oras manifest fetch --plain-http {OTHER}:1", refused=True),
    Command("ci", f"{_CP} {A}:1 {OTHER}:2", refused=True),
    Command("ci", f"oras manifest delete --plain-http --force {BASE}:1", refused=True),
    Command("pull", f"oras tag --plain-http {A}:1 3", refused=True),
    Command("pull", f"{_ATTACH} --annotation=a=b {A}:1", refused=True),
)

_CHART = "--plain-http {shared}/app-1.0.0.tgz oci://{host}"
_APP = "--plain-http oci://{host}/team-a/app"

HELM = (
    Command("new", "helm registry login --plain-http -u ci -p ci {host}"),
    Command("new", "helm registry login --plain-http -u ci -p wrong {host}", fails=True),
    *(Command("admin", f"helm push {_CHART}/{x}") for x in ("team-a", "shared", "hidden")),
    Command("ci", f"helm push {_CHART}/team-a"),
    *(Command("ci", f"helm push {_CHART}/team-a/kept") for _ in range(2)),
    Command(
        "ci",
        "helm push --plain-http {shared}/changed/app-1.0.0.tgz oci://{host}/team-a/kept",
        kept=True,
    ),
    Command("pull", f"helm pull {_APP} --version=1.0.0 --destination={{folder}}"),
    # Without a version it lists the tags.
    Command("pull", f"helm pull {_APP} --destination={{folder}}"),
    *(Command("pull", f"helm show {x} {_APP} --version=1.0.0") for x in ("chart", "all")),
    Command("pull", f"helm template {_APP} --version=1.0.0"),
    Command("pull", f"helm pull {_APP} --version=2.0.0", fails=True),
    *(Command(x, f"helm pull {_APP} --version=1.0.0", fails=True) for x in ("nobody", "")),
    Command("new", "helm registry logout {host}"),
    Command("ci", f"helm push {_CHART}/hidden", refused=True),
    Command("ci", "helm pull --plain-http oci://{host}/hidden/app --version=1.0.0", refused=True),
    Command("pull", f"helm push {_CHART}/team-a", refused=True),
)

# Keys of its own, and no server of Sigstore: nothing here reaches one.
_KEY = "--allow-insecure-registry --key={{shared}}/cosign"
_SIGN = f"cosign {{}} {_KEY}.key --tlog-upload=false --use-signing-config=false --yes"
_VERIFY = f"cosign {{}} {_KEY}.pub --insecure-ignore-tlog"

COSIGN = (
    Command(
        "ci",
        "sh -c 'cd {shared}; test -e cosign.key || cosign generate-key-pair'",
    ),
    *(
        Command("admin", f"crane --insecure push {{shared}}/image.tar {x}:1")
        for x in (A, BASE, OTHER)
    ),
    Command("pull", f"{_VERIFY.format('verify')} {A}:1", fails=True),
    Command("ci", f"{_SIGN.format('sign')} {A}:1", timed=True),
    Command("ci", f"{_SIGN.format('sign')} --new-bundle-format=false {A}:1", timed=True),
    Command(
        "ci", f"{_SIGN.format('attest')} --predicate={{shared}}/predicate.json {A}:1", timed=True
    ),
    *(
        Command("pull", f"{_VERIFY.format(x)} {A}:1", timed=True)
        for x in ("verify", "verify-attestation")
    ),
    Command("pull", f"cosign tree --allow-insecure-registry {A}:1", timed=True),
    Command("ci", f"cosign copy --allow-insecure-registry {A}:1 {B}:1", timed=True),
    Command("ci", f"cosign clean --allow-insecure-registry --force {B}:1", timed=True),
    Command("nobody", f"{_VERIFY.format('verify')} {A}:1", fails=True),
    Command("pull", f"{_SIGN.format('sign')} {A}:1", refused=True),
    Command("ci", f"{_SIGN.format('sign')} {OTHER}:1", refused=True),
)

CLIENTS: Mapping[str, Sequence[Command]] = {
    "skopeo": SKOPEO,
    "podman": PODMAN,
    "buildah": BUILDAH,
    "docker": DOCKER,
    "regctl": REGCTL,
    "oras": ORAS,
    "helm": HELM,
    "cosign": COSIGN,
}
