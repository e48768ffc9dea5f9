"""The scan in the cluster: from an image that is pushed to an alert, without the Internet."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from components.metadata import SCAN
from components.monitoring.alerts import alert_groups
from components.monitoring.monitoring import METRICS_PATHS, SCAN_METRICS_PATHS
from components.scan import TRIVY as IN_ITS_IMAGE
from sandbox.build import debian, toolchain
from sandbox.build.oci import File
from tests import scanned
from tests.pinned_tools import TRIVY
from tests.sandbox import prometheus
from tests.sandbox.crane import Crane, logged_in
from tests.sandbox.helpers import Sandbox, eventually
from tests.sandbox.maintenance import NAMESPACE, log_of
from tests.sandbox.node_images import add_image
from tests.soak.client import Image

DATABASE = ("mirror/trivy-db", "2")
IMAGE = f"localhost/trivy:{TRIVY.version}"

pytestmark = pytest.mark.long


def add_trivy(sandbox: Sandbox, folder: Path) -> None:
    """Give the node an image like Trivy's own: its `cp` is that of busybox, too.

    https://github.com/aquasecurity/trivy/blob/main/Dockerfile
    """
    toolchain.build(sandbox.layout.tools, [], [TRIVY])
    debian.download(["busybox-static"], folder)
    (package,) = folder.glob("busybox-static*.deb")
    subprocess.run(["dpkg-deb", "--extract", package, folder / "busybox"], check=True)
    program = IN_ITS_IMAGE.relative_to("/")
    folders = [*list(program.parents)[-2::-1], Path("bin")]
    files = [
        *(File(str(path), mode=0o755) for path in folders),
        File(str(program), sandbox.layout.tools / TRIVY.name, 0o755),
        File("bin/cp", next((folder / "busybox").rglob("bin/busybox")), 0o755),
    ]
    add_image(sandbox, IMAGE, files, {"Entrypoint": [TRIVY.name]})


def push(crane: Crane, folder: Path, *images: Image) -> None:
    for number, image in enumerate(images):
        layout = scanned.write_layout(image, folder / str(number))
        crane.run("push", str(layout), f"{crane.hostname}/{image.repository}:{image.tag}")


@pytest.fixture(scope="module")
def admin(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Crane:
    folder = tmp_path_factory.mktemp("scan") / "crane"
    return logged_in(sandbox, sandbox.registry, folder, sandbox.password)


@pytest.fixture(scope="module", autouse=True)
def up(sandbox: Sandbox, admin: Crane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let the scan be on, and Prometheus watch."""
    add_trivy(sandbox, tmp_path_factory.mktemp("trivy"))
    database, app = scanned.database(*DATABASE), scanned.vulnerable("scanned/app", "1")
    push(admin, tmp_path_factory.mktemp("images"), database, app)
    sandbox.config(
        scan__enabled=True,
        scan__database=f"{sandbox.registry}/{':'.join(DATABASE)}",
        scan__image=IMAGE,
        monitoring__enabled=True,
    )
    try:
        sandbox.pulumi("up", "--yes", "--skip-preview")
        groups = alert_groups("registry", {}, scan=True)
        prometheus.start(sandbox, groups, METRICS_PATHS | SCAN_METRICS_PATHS)
        yield
    finally:
        sandbox.pulumi("config", "rm", "scan")
        sandbox.pulumi("config", "rm", "monitoring")
        sandbox.pulumi("up", "--yes", "--skip-preview")
        prometheus.stop(sandbox)
        for image in ("scanned/app:1", "mirror/trivy-db:2"):
            admin.run("delete", f"{sandbox.registry}/{image}")


def scan(sandbox: Sandbox, name: str, condition: str) -> str:
    """Run a Job of the CronJob, which must end with a condition, and return its log."""
    sandbox.kubectl("create", "job", name, f"--from=cronjob/{SCAN}", NAMESPACE)
    try:
        return log_of(sandbox, name, condition)
    except AssertionError:
        print(json.dumps([x["status"] for x in sandbox.pods("scan")]))
        print(sandbox.kubectl("get", "events", NAMESPACE).stdout)
        raise


FIXABLE = (
    'registry_vulnerabilities{repository="scanned/app", severity="critical", fixable="true"} == 1'
)


def fires(sandbox: Sandbox, alert: str) -> bool:
    return alert in prometheus.firing(sandbox)


def test_an_old_package_is_a_finding_a_metric_and_an_alert(sandbox: Sandbox) -> None:
    """The first run; before it, no metrics are no failure: Prometheus has seen all targets."""
    log = scan(sandbox, "scan-first", "Complete")
    app = scanned.vulnerable("scanned/app", "1")
    found = "1 critical (1 with a fix), 1 high (0 with a fix), 1 medium (1 with a fix)"
    assert f"scanned/app@{app.digest}: {found}" in log
    # The kubelet looks at ConfigMaps once a minute.
    counted = partial(prometheus.query, sandbox, FIXABLE)
    eventually("Prometheus has it", lambda: bool(counted()), 180)
    eventually("the alert fires", partial(fires, sandbox, "RegistryFixableCritical"))


def test_a_run_that_fails_is_an_alert_and_leaves_what_is_known(
    sandbox: Sandbox, admin: Crane, tmp_path: Path
) -> None:
    before = sandbox.get("configmap", "registry-findings", NAMESPACE)["binaryData"]
    admin.run("delete", f"{sandbox.registry}/{':'.join(DATABASE)}")
    try:
        assert "FAILED: " in scan(sandbox, "scan-without", "Failed")
        eventually("the alert fires", partial(fires, sandbox, "RegistryScanFails"))
        after = sandbox.get("configmap", "registry-findings", NAMESPACE)["binaryData"]
        assert after == before
    finally:
        push(admin, tmp_path, scanned.database(*DATABASE))
    scan(sandbox, "scan-again", "Complete")
    eventually("it is over", lambda: not fires(sandbox, "RegistryScanFails"))
