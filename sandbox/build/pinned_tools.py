"""Which tools the sandbox builds; their versions are what the go.mod files under ``tools/`` pin."""

from __future__ import annotations

import importlib.metadata
import re
from dataclasses import dataclass
from pathlib import Path

SOURCES = Path(__file__).parent / "tools"


class ToolchainError(RuntimeError):
    """A tool could not be built; the message says how to go on."""


@dataclass(frozen=True)
class Tool:
    """One binary.

    Attributes:
        name: The file's name in ``Layout.tools``.
        package: The Go package of its ``main``, as seen from its folder.
        folder: Its folder under ``tools/``; its name when empty.
        module: The module whose version is the tool's; empty for the sandbox's own.
        ldflags: Linker flags that tell the tool its version. ``{version}`` is the module's without
            the leading v, ``{major}`` and ``{minor}`` are its parts.
        aliases: Further names under which it is called.
        may_be_on_path: Whether one of the same version on PATH will do.
    """

    name: str
    package: str
    folder: str = ""
    module: str = ""
    ldflags: str = ""
    aliases: tuple[str, ...] = ()
    may_be_on_path: bool = False

    @property
    def source(self) -> Path:
        """The folder with its go.mod."""
        return SOURCES / (self.folder or self.name)

    @property
    def version(self) -> str:
        """Its version as go.mod pins it, such as ``3.1.2``; empty for the sandbox's own."""
        return pinned(self.source, self.module) if self.module else ""

    def flags(self) -> list[str]:
        """Give the flags of ``go build``."""
        major, _, rest = self.version.partition(".")
        minor = rest.partition(".")[0]
        told = self.ldflags.format(version=self.version, major=major, minor=minor)
        # No stamp of the checkout: as another user's, git refuses to tell about it.
        return ["-mod=readonly", "-trimpath", "-buildvcs=false", f"-ldflags=-s -w {told}".rstrip()]


@dataclass(frozen=True)
class Copy:
    """One file taken from a module, as its license allows to use but nobody need commit.

    Attributes:
        name: The file's name in ``Layout.tools``.
        folder: The folder under ``tools/`` whose go.mod pins the module.
        module: The module.
        path: Where the file lies in it.
    """

    name: str
    folder: str
    module: str
    path: str


_KUBERNETES_VERSION = "k8s.io/component-base/version"

TOOLS = (
    # The biggest first: what fails, fails after the shortest wait for its own error.
    Tool(
        "kubernetes",
        ".",
        module="k8s.io/kubernetes",
        ldflags=f"-X {_KUBERNETES_VERSION}.gitVersion=v{{version}} "
        f"-X {_KUBERNETES_VERSION}.gitMajor={{major}} -X {_KUBERNETES_VERSION}.gitMinor={{minor}} "
        f"-X {_KUBERNETES_VERSION}.gitTreeState=clean",
        aliases=(
            "etcd",
            "kube-apiserver",
            "kube-controller-manager",
            "kube-proxy",
            "kube-scheduler",
            "kubectl",
            "kubelet",
        ),
    ),
    Tool(
        "pulumi",
        "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
        module="github.com/pulumi/pulumi/pkg/v3",
        ldflags="-X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v{version}",
        may_be_on_path=True,
    ),
    Tool(
        "traefik",
        "github.com/traefik/traefik/v3/cmd/traefik",
        module="github.com/traefik/traefik/v3",
        ldflags="-X github.com/traefik/traefik/v3/pkg/version.Version={version}",
    ),
    Tool(
        "kubernetes-provider",
        ".",
        # Not its module's version, a commit: the engine asks for that of the installed SDK.
        ldflags=f"-X main.version={importlib.metadata.version('pulumi-kubernetes')}",
    ),
    Tool(
        "registry",
        "github.com/distribution/distribution/v3/cmd/registry",
        module="github.com/distribution/distribution/v3",
        ldflags="-X github.com/distribution/distribution/v3/version.version=v{version}",
    ),
    Tool(
        "caddy",
        "github.com/caddyserver/caddy/v2/cmd/caddy",
        module="github.com/caddyserver/caddy/v2",
        ldflags="-X github.com/caddyserver/caddy/v2.CustomVersion=v{version}",
    ),
    Tool("coredns", ".", module="github.com/coredns/coredns"),
    Tool(
        "versitygw",
        "github.com/versity/versitygw/cmd/versitygw",
        module="github.com/versity/versitygw",
    ),
    Tool(
        "crane",
        "github.com/google/go-containerregistry/cmd/crane",
        module="github.com/google/go-containerregistry",
        ldflags="-X github.com/google/go-containerregistry/cmd/crane/cmd.Version={version}",
        may_be_on_path=True,
    ),
    Tool(
        "pebble",
        "github.com/letsencrypt/pebble/v2/cmd/pebble",
        module="github.com/letsencrypt/pebble/v2",
    ),
    Tool("registries-check", ".", module="github.com/rancher/wharfie"),
    Tool("pause", "./pause", folder="images"),
    Tool("whoami", "./whoami", folder="images"),
)

MINIO = Tool("minio", "github.com/minio/minio", module="github.com/minio/minio")
"""A second S3 server, built and run by tests only: no sandbox of a user's has it."""

COPIES = (
    Copy(
        "pulumi-language-python-exec",
        "pulumi",
        "github.com/pulumi/pulumi/sdk/v3",
        "python/cmd/pulumi-language-python-exec",
    ),
    Copy(
        "traefik-crds.yaml",
        "traefik",
        "github.com/traefik/traefik/v3",
        "docs/content/reference/dynamic-configuration/kubernetes-crd-definition-v1.yml",
    ),
)

CERT_MANAGER = Tool("cert-manager", ".", module="github.com/cert-manager/cert-manager")
"""Not one of :data:`TOOLS`: of 65 MB and minutes to build, and needed by one test only."""

CERT_MANAGER_CRDS = tuple(
    Copy(
        f"cert-manager-{kind}.yaml",
        "cert-manager",
        "github.com/cert-manager/cert-manager",
        f"deploy/crds/cert-manager.io_{kind}.yaml",
    )
    for kind in ("certificates", "certificaterequests", "clusterissuers", "issuers")
)

CRDS = ("traefik-crds.yaml",)
"""Those of the copies that a cluster must know before the sandbox's own objects."""


def pinned(folder: Path, module: str) -> str:
    """Read a module's version from a go.mod, without the leading v.

    Args:
        folder: The folder of the go.mod.
        module: The module's path.

    Raises:
        ToolchainError: The go.mod does not require the module.
    """
    required = rf"^(?:require)?\s+{re.escape(module)} v(\S+)"
    if not (found := re.search(required, (folder / "go.mod").read_text(), re.MULTILINE)):
        raise ToolchainError(f"{folder}/go.mod does not require {module}")
    return found[1]
