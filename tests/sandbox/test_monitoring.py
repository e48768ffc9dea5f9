"""Metrics, and each alert on its real cause, in a real Prometheus."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from components.monitoring.alerts import alert_groups
from components.monitoring.dashboard import dashboard
from scripts.maintenance.keys import blob_key
from tests.sandbox import prometheus
from tests.sandbox.clients import send
from tests.sandbox.crane import Crane
from tests.sandbox.helpers import Sandbox, eventually
from tests.sandbox.maintenance import NAMESPACE, forget_jobs, maintain
from tests.sandbox.processes import find, stopped
from tests.sandbox.test_cluster import client, fetch, grant

GROUPS = alert_groups("registry", {})


@pytest.fixture(scope="module")
def up(sandbox: Sandbox) -> Iterator[str]:
    """Enable the monitoring, start Prometheus, and return the output of `pulumi up`."""
    sandbox.config(monitoring__enabled=True)
    try:
        output = sandbox.pulumi("up", "--yes", "--skip-preview").stdout
        # One that failed in an earlier test would be an alert.
        forget_jobs(sandbox)
        prometheus.start(sandbox, GROUPS)
        yield output
    finally:
        sandbox.pulumi("config", "rm", "monitoring")
        sandbox.pulumi("up", "--yes", "--skip-preview")
        prometheus.stop(sandbox)


def address(sandbox: Sandbox) -> str:
    (pod,) = sandbox.pods()
    return str(pod["status"]["podIP"])


def fires(sandbox: Sandbox, name: str) -> None:
    eventually(f"{name} fires", lambda: name in prometheus.firing(sandbox), 120)


def test_without_the_operator_up_says_so(up: str) -> None:
    assert "the cluster does not know Prometheus's operator" in up


@pytest.mark.usefixtures("up")
def test_only_prometheus_gets_metrics_and_nothing_else(sandbox: Sandbox) -> None:
    ip = address(sandbox)
    for path, status in (
        ("/metrics", "200"),
        ("/metrics/manifests", "200"),
        ("/metrics/auth-proxy", "200"),
        ("/debug/pprof/", "404"),
        ("/debug/health", "404"),
        ("/metrics/", "404"),
        ("/v2/", "404"),
    ):
        assert prometheus.fetched(sandbox, ip, path) == status, path
    with client(sandbox, "curious"):
        assert fetch(sandbox, "curious", f"http://{ip}:5083/metrics").startswith("refused")


@pytest.mark.usefixtures("up")
def test_a_registry_that_works_fires_no_alert_and_counts_requests(
    sandbox: Sandbox, crane: Crane
) -> None:
    crane.push("monitoring/app:1")
    requests = 'registry_http_requests_total{handler="manifest", method=~"put|head"} > 0'
    counted = f"count(count by (component) ({requests})) == 2"
    eventually("two count", lambda: bool(prometheus.query(sandbox, counted)))
    eventually("no alert fires", lambda: prometheus.firing(sandbox) == set())


@pytest.mark.usefixtures("up")
def test_many_wrong_logins_are_an_alert(sandbox: Sandbox, ssl_context: ssl.SSLContext) -> None:
    def login(_: int) -> int:
        url = f"https://{sandbox.registry}/v2/"
        return send(url, login="admin:wrong", ssl_context=ssl_context)[0]

    # Each waits for half a second. In 5 minutes, 1500 are allowed.
    with ThreadPoolExecutor(60) as pool:
        assert set(pool.map(login, range(2400))) == {401}
    fires(sandbox, "RegistryWrongLogins")


@pytest.mark.long
@pytest.mark.usefixtures("up")
def test_an_image_that_lost_a_layer_is_an_alert_until_it_has_it_again(
    sandbox: Sandbox, crane: Crane
) -> None:
    crane.push("monitoring/lost:1")
    manifest = crane.run("manifest", f"{sandbox.registry}/monitoring/lost:1").stdout
    key = blob_key(json.loads(manifest)["layers"][0]["digest"])
    s3 = sandbox.s3()
    content = s3.get_object(Bucket=sandbox.bucket, Key=key)["Body"].read()
    s3.delete_object(Bucket=sandbox.bucket, Key=key)
    try:
        maintain(sandbox, "maintenance-lost", "Failed")
        fires(sandbox, "RegistryMaintenanceFails")
    finally:
        s3.put_object(Bucket=sandbox.bucket, Key=key, Body=content)
    maintain(sandbox, "maintenance-whole", "Complete")
    eventually(
        "the alert is over",
        lambda: "RegistryMaintenanceFails" not in prometheus.firing(sandbox),
    )
    sandbox.kubectl("delete", "job", "maintenance-lost", "maintenance-whole", NAMESPACE)


@pytest.mark.usefixtures("up")
def test_storage_that_refuses_and_a_registry_that_is_gone_are_alerts(
    sandbox: Sandbox, crane: Crane
) -> None:
    state = json.loads(sandbox.pulumi("stack", "export").stdout)
    resources = state["deployment"]["resources"]
    (key,) = (x["id"] for x in resources if x["urn"].endswith("::storage-key"))
    grant(sandbox, key, "read")
    try:
        for _ in range(3):
            crane.push("monitoring/refused:1", fails=True)
        fires(sandbox, "RegistryFails")
    finally:
        grant(sandbox, key, "readwrite")
    sandbox.kubectl("scale", "deployment/registry", "--replicas=0", NAMESPACE)
    try:
        fires(sandbox, "RegistryDown")
    finally:
        sandbox.kubectl("scale", "deployment/registry", "--replicas=1", NAMESPACE)
        sandbox.kubectl("rollout", "status", "deployment/registry", NAMESPACE)
    eventually("it is back", lambda: "RegistryDown" not in prometheus.firing(sandbox))


@pytest.mark.usefixtures("up")
def test_storage_that_is_slow_is_an_alert(
    sandbox: Sandbox, crane: Crane, ssl_context: ssl.SSLContext
) -> None:
    crane.push("monitoring/slow:1")
    url, login = f"https://{sandbox.registry}/v2/monitoring/slow/manifests/1", sandbox.password
    get = partial(send, login=f"admin:{login}", ssl_context=ssl_context, timeout=60)
    with ThreadPoolExecutor(60) as pool:
        with stopped(find(sandbox, "posix")):
            responses = pool.map(get, [url] * 60)
            # The 5 s of the alert, and what all handshakes may take.
            time.sleep(8)
        assert {status for status, _ in responses} == {200}
    fires(sandbox, "RegistryStorageSlow")


@pytest.mark.usefixtures("up")
def test_maintenance_that_cannot_start_is_an_alert(sandbox: Sandbox) -> None:
    def started(when: str) -> None:
        patch = json.dumps({"status": {"lastScheduleTime": when}})
        which = ("cronjob", "maintenance", NAMESPACE, "--subresource=status", "--type=merge")
        sandbox.kubectl("patch", *which, f"--patch={patch}")

    now = datetime.now(UTC)
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "spec": {"hard": {"count/jobs.batch": "0"}},
    }
    sandbox.apply({**quota, "metadata": {"name": "no-jobs", "namespace": "registry"}})
    enforced = "--for=jsonpath={.status.hard}"
    sandbox.kubectl("wait", enforced, "resourcequota/no-jobs", NAMESPACE, "--timeout=30s")
    try:
        started((now - timedelta(hours=3)).isoformat(timespec="seconds"))
        fires(sandbox, "RegistryMaintenanceMissing")
    finally:
        # In this order, or the CronJob starts what was missed.
        started(now.isoformat(timespec="seconds"))
        sandbox.kubectl("delete", "resourcequota", "no-jobs", NAMESPACE)


@pytest.mark.usefixtures("up")
def test_each_line_of_the_dashboard_has_data(sandbox: Sandbox) -> None:
    maintain(sandbox, "maintenance-shown", "Complete")
    for panel in json.loads(dashboard())["panels"]:
        for target in panel["targets"]:
            expression = prometheus.query_of(target)
            eventually(expression, partial(has_data, sandbox, expression))
    sandbox.kubectl("delete", "job", "maintenance-shown", NAMESPACE)


def has_data(sandbox: Sandbox, expression: str) -> bool:
    return bool(prometheus.query(sandbox, expression))
