"""Metrics, and each alert on its real cause, in a real Prometheus."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.monitoring.alerts import alert_groups
from scripts.walk import blob_key
from tests.sandbox import prometheus
from tests.sandbox.clients import send
from tests.sandbox.crane import Crane, logged_in
from tests.sandbox.helpers import Sandbox, eventually
from tests.sandbox.test_cluster import client, fetch, grant

NAMESPACE = "--namespace=registry"
REGISTRY = "--selector=app.kubernetes.io/component=registry"
GROUPS = alert_groups("registry")


@pytest.fixture(scope="module")
def up(sandbox: Sandbox) -> Iterator[str]:
    """Enable the monitoring, start Prometheus, and return the output of `pulumi up`."""
    sandbox.config(monitoring__enabled=True)
    output = sandbox.pulumi("up", "--yes", "--skip-preview").stdout
    prometheus.start(sandbox, GROUPS)
    yield output
    prometheus.stop(sandbox)
    sandbox.pulumi("config", "rm", "monitoring")
    sandbox.pulumi("up", "--yes", "--skip-preview")


@pytest.fixture
def crane(sandbox: Sandbox, tmp_path: Path) -> Crane:
    return logged_in(sandbox, sandbox.registry, tmp_path / "crane", sandbox.password)


def address(sandbox: Sandbox) -> str:
    (pod,) = sandbox.get("pods", NAMESPACE, REGISTRY)["items"]
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
        ("/metrics/auth-proxy", "200"),
        ("/debug/pprof/", "404"),
        ("/debug/health", "404"),
        ("/metrics/", "404"),
        ("/v2/", "404"),
    ):
        assert prometheus.fetched(sandbox, ip, path) == status, path
    client(sandbox, "curious")
    assert fetch(sandbox, "curious", f"http://{ip}:5083/metrics").startswith("refused")
    sandbox.kubectl("delete", "pod", "curious", "--wait=false")


@pytest.mark.usefixtures("up")
def test_a_registry_that_works_fires_no_alert_and_counts_requests(
    sandbox: Sandbox, crane: Crane
) -> None:
    crane.push("monitoring/app:1")
    expression = 'registry_http_requests_total{handler="manifest", method="put", code="201"} > 0'
    eventually("the push is counted", lambda: bool(prometheus.query(sandbox, expression)))
    assert prometheus.firing(sandbox) == set()


@pytest.mark.usefixtures("up")
def test_many_wrong_logins_are_an_alert(sandbox: Sandbox, ssl_context: ssl.SSLContext) -> None:
    def login(_: int) -> int:
        url = f"https://{sandbox.registry}/v2/"
        return send(url, login="admin:wrong", ssl_context=ssl_context)[0]

    # Each waits for half a second. In 5 minutes, 1500 are allowed.
    with ThreadPoolExecutor(60) as pool:
        assert set(pool.map(login, range(2400))) == {401}
    fires(sandbox, "RegistryWrongLogins")


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
        run_maintenance(sandbox, "maintenance-lost", "Failed")
        fires(sandbox, "RegistryMaintenanceFails")
    finally:
        s3.put_object(Bucket=sandbox.bucket, Key=key, Body=content)
    run_maintenance(sandbox, "maintenance-whole", "Complete")
    eventually(
        "the alert is over",
        lambda: "RegistryMaintenanceFails" not in prometheus.firing(sandbox),
    )
    sandbox.kubectl("delete", "job", "maintenance-lost", "maintenance-whole", NAMESPACE)


def run_maintenance(sandbox: Sandbox, name: str, condition: str) -> None:
    sandbox.kubectl("create", "job", name, "--from=cronjob/maintenance", NAMESPACE)
    wait = ("wait", f"--for=condition={condition}", f"job/{name}", "--timeout=150s")
    sandbox.kubectl(*wait, NAMESPACE)


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
    fires(sandbox, "RegistryDown")
    sandbox.kubectl("scale", "deployment/registry", "--replicas=1", NAMESPACE)
    sandbox.kubectl("rollout", "status", "deployment/registry", NAMESPACE)
    eventually("it is back", lambda: "RegistryDown" not in prometheus.firing(sandbox))


SERIES: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "RegistryDown": (
        {'up{namespace="registry", component="auth-proxy"}': "0x20"},
        {'up{namespace="registry", component="auth-proxy"}': "1x20"},
    ),
    "RegistryFails": (
        {
            'registry_http_requests_total{namespace="registry", code="200"}': "0+90x20",
            'registry_http_requests_total{namespace="registry", code="503"}': "0+10x20",
        },
        {
            'registry_http_requests_total{namespace="registry", code="200"}': "0+97x20",
            'registry_http_requests_total{namespace="registry", code="503"}': "0+3x20",
        },
    ),
    "RegistryStorageSlow": (
        {
            'registry_storage_action_seconds_bucket{namespace="registry", le="5"}': "0+9x20",
            'registry_storage_action_seconds_bucket{namespace="registry", le="10"}': "0+10x20",
            'registry_storage_action_seconds_bucket{namespace="registry", le="+Inf"}': "0+10x20",
        },
        {
            'registry_storage_action_seconds_bucket{namespace="registry", le="5"}': "0+10x20",
            'registry_storage_action_seconds_bucket{namespace="registry", le="10"}': "0+10x20",
            'registry_storage_action_seconds_bucket{namespace="registry", le="+Inf"}': "0+10x20",
        },
    ),
    "RegistryWrongLogins": (
        {
            'caddy_http_request_duration_seconds_count{namespace="registry", server="registry", '
            'handler="authentication", code="401"}': "0+360x20"
        },
        {
            'caddy_http_request_duration_seconds_count{namespace="registry", server="registry", '
            'handler="authentication", code="401"}': "0+240x20"
        },
    ),
    "RegistryMaintenanceFails": (
        {
            'kube_job_status_start_time{namespace="registry", job_name="maintenance-1"}': "100x20",
            'kube_job_status_start_time{namespace="registry", job_name="maintenance-2"}': "200x20",
            'kube_job_status_succeeded{namespace="registry", job_name="maintenance-1"}': "1x20",
            'kube_job_status_failed{namespace="registry", job_name="maintenance-2", '
            'reason="BackoffLimitExceeded"}': "1x20",
        },
        {
            'kube_job_status_start_time{namespace="registry", job_name="maintenance-1"}': "100x20",
            'kube_job_status_start_time{namespace="registry", job_name="maintenance-2"}': "200x20",
            'kube_job_status_succeeded{namespace="registry", job_name="maintenance-2"}': "1x20",
            'kube_job_status_failed{namespace="registry", job_name="maintenance-1", '
            'reason="BackoffLimitExceeded"}': "1x20",
        },
    ),
    "RegistryMaintenanceMissing": (
        {
            'kube_cronjob_next_schedule_time{namespace="registry", cronjob="maintenance"}': (
                "-4000x30"
            )
        },
        {
            'kube_cronjob_next_schedule_time{namespace="registry", cronjob="maintenance"}': (
                "-1000x30"
            )
        },
    ),
}
"""For each alert series in which it fires after 20 minutes, and some in which it does not."""


def alert_test(name: str, series: dict[str, str], *, fires: bool) -> dict[str, Any]:
    (rule,) = [rule for group in GROUPS for rule in group["rules"] if rule["alert"] == name]
    expected = {"exp_labels": rule["labels"], "exp_annotations": rule["annotations"]}
    return {
        "interval": "1m",
        "input_series": [{"series": key, "values": values} for key, values in series.items()],
        "alert_rule_test": [
            {"eval_time": "20m", "alertname": name, "exp_alerts": [expected] if fires else []}
        ],
    }


def test_promtool_accepts_the_alerts_and_each_fires_when_it_is_to_and_else_does_not(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    promtool = prometheus.unpacked(sandbox) / "usr" / "bin" / "promtool"
    (tmp_path / "alerts.yml").write_text(yaml.safe_dump({"groups": GROUPS}))
    checked = sandbox.run(promtool, "check", "rules", tmp_path / "alerts.yml").stdout
    assert f"{len(SERIES)} rules found" in checked
    tests = [
        alert_test(name, series, fires=fires)
        for name, both in SERIES.items()
        for series, fires in zip(both, (True, False), strict=True)
    ]
    file = {"rule_files": ["alerts.yml"], "evaluation_interval": "1m", "tests": tests}
    (tmp_path / "test.yml").write_text(yaml.safe_dump(file))
    assert "SUCCESS" in sandbox.run(promtool, "test", "rules", tmp_path / "test.yml").stdout
