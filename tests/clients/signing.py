"""How users sign images and describe them, and how others verify that: docs/signatures.md.

All sign with keys of their own: nothing here reaches a server of Sigstore.
"""

from __future__ import annotations

from dataclasses import dataclass

_KEY = "--allow-insecure-registry --key={shared}/cosign"
_SIGN = f"{_KEY}.key --tlog-upload=false --use-signing-config=false --yes"
_VERIFY = f"{_KEY}.pub --insecure-ignore-tlog"
_OLD = "--new-bundle-format=false"
_SPDX = "--type=spdxjson"

_REGCTL = "regctl --host=reg={host},tls=disabled artifact"
_ATTACH = "oras attach --plain-http --disable-path-validation"
_FOUND = (
    "oras discover --plain-http --artifact-type=application/spdx+json {image} "
    '"--format=go-template={{{{range .referrers}}}}{{{{.reference}}}}{{{{end}}}}"'
)
_BUILD = "buildx build --push --tag={host}/team/built:{version} {shared}/{version}"
_INSPECT = (
    "buildx imagetools inspect {host}/team/built:{version} "
    '"--format={{{{.SBOM.SPDX.name}}}} {{{{.Provenance.SLSA.buildDefinition.buildType}}}}"'
)
_CHART = "{shared}/chart-1.0.0-{version}.tgz"


@dataclass(frozen=True)
class Way:
    """A way to sign an image, or to describe it.

    ``{host}`` stands for the registry, ``{shared}`` for the folder of keys, and ``{folder}`` for an
    empty one; ``{image}`` is a repository with a digest, and ``{version}`` is a word.

    Attributes:
        sign: The command of whoever may push.
        verify: That of whoever may pull, which fails without the signature.
        plain: That pushes an image without one, if `sign` pushes the image, too.
    """

    sign: str
    verify: str
    plain: str = ""


ATTACHED = {
    "cosign sign": Way(f"cosign sign {_SIGN} {{image}}", f"cosign verify {_VERIFY} {{image}}"),
    "cosign sign --new-bundle-format=false": Way(
        f"cosign sign {_SIGN} {_OLD} {{image}}", f"cosign verify {_VERIFY} {_OLD} {{image}}"
    ),
    "cosign sign --registry-referrers-mode=oci-1-1": Way(
        f"env COSIGN_EXPERIMENTAL=1 cosign sign {_SIGN} {_OLD} --registry-referrers-mode=oci-1-1 "
        "{image}",
        f"cosign verify {_VERIFY} {_OLD} --experimental-oci11 {{image}}",
    ),
    "cosign attest": Way(
        f"cosign attest {_SIGN} {_SPDX} --predicate={{shared}}/sbom.json {{image}}",
        f"cosign verify-attestation {_VERIFY} {_SPDX} {{image}}",
    ),
    "cosign attest --new-bundle-format=false": Way(
        f"cosign attest {_SIGN} {_OLD} {_SPDX} --predicate={{shared}}/sbom.json {{image}}",
        f"cosign verify-attestation {_VERIFY} {_OLD} {_SPDX} {{image}}",
    ),
    "oras attach": Way(
        f"{_ATTACH} --artifact-type=application/spdx+json {{image}} {{shared}}/sbom.json",
        f"sh -c 'oras pull --plain-http --allow-path-traversal --output={{folder}} $({_FOUND})'",
    ),
    "regctl artifact put": Way(
        f"{_REGCTL} put --artifact-type=application/x --file={{shared}}/file --subject={{image}}",
        f"{_REGCTL} get --filter-artifact-type=application/x --subject={{image}}",
    ),
    "notation sign": Way("notation sign {image}", "notation verify {image}"),
}
"""What is attached to an image that is there."""

PUSHED = {
    "docker buildx build": Way(
        f"{_BUILD} --provenance=mode=max --sbom=generator={{host}}/team/generator:kept",
        f"sh -c '{_INSPECT} | grep \"^generated https\"'",
        f"{_BUILD} --provenance=false",
    ),
    "helm push": Way(
        f"helm push --plain-http {_CHART} oci://{{host}}/team",
        "helm pull --plain-http --verify --keyring={shared}/keyring.gpg --destination={folder} "
        "--version=1.0.0-{version} oci://{host}/team/chart",
        f"sh -c 'rm {_CHART}.prov; helm push --plain-http {_CHART} oci://{{host}}/team'",
    ),
}
"""What is pushed with the image."""
