"""Each alert by series that are made up, in Prometheus's own test tool."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from components.monitoring.alerts import alert_groups
from tests.sandbox import prometheus
from tests.sandbox.helpers import Sandbox

AT = 40 * 60
"""Prometheus's test tool begins in 1970, and looks at alerts after so many seconds."""

ENDS = {
    "ended": AT,
    "ends-soon": AT + 60,
    "ends-in-two-weeks": AT + 14 * 86400 - 60,
    "ends-later": AT + 14 * 86400,
}
GROUPS = alert_groups("registry", ENDS, scan=True)

SERIES: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "RegistryDown": (
        {
            'up{namespace="registry", component="auth-proxy", instance="a"}': "1x40",
            'up{namespace="registry", component="manifests", instance="a"}': "0x40",
            'up{namespace="registry", component="manifests", instance="b"}': "0x40",
            'up{namespace="registry", component="registry", instance="a"}': "1x40",
        },
        {
            'up{namespace="registry", component="auth-proxy", instance="a"}': "1x40",
            'up{namespace="registry", component="manifests", instance="a"}': "0x40",
            'up{namespace="registry", component="manifests", instance="b"}': "1x40",
            'up{namespace="registry", component="registry", instance="a"}': "1x40",
        },
    ),
    "RegistryFails": (
        {
            'registry_http_requests_total{namespace="registry", code="200"}': "0+90x40",
            'registry_http_requests_total{namespace="registry", code="503"}': "0+10x40",
        },
        {
            'registry_http_requests_total{namespace="registry", code="200"}': "0+97x40",
            'registry_http_requests_total{namespace="registry", code="503"}': "0+3x40",
            'registry_http_requests_total{namespace="registry", code="500", '
            'method="put"}': "0+9x40",
        },
    ),
    "RegistryStorageSlow": (
        {
            'registry_storage_action_seconds_bucket{namespace="registry", le="5"}': "0+9x40",
            'registry_storage_action_seconds_bucket{namespace="registry", le="10"}': "0+10x40",
            'registry_storage_action_seconds_bucket{namespace="registry", le="+Inf"}': "0+10x40",
        },
        {
            'registry_storage_action_seconds_bucket{namespace="registry", le="5"}': "0+10x40",
            'registry_storage_action_seconds_bucket{namespace="registry", le="10"}': "0+10x40",
            'registry_storage_action_seconds_bucket{namespace="registry", le="+Inf"}': "0+10x40",
        },
    ),
    "RegistryCacheFails": (
        {
            'caddy_http_request_duration_seconds_count{namespace="registry", server="registry", '
            'handler="invoke", code="200"}': "0+90x40",
            'caddy_http_request_duration_seconds_count{namespace="registry", server="registry", '
            'handler="invoke", code="500"}': "0+5x40",
            'caddy_http_request_duration_seconds_count{namespace="registry", server="registry", '
            'handler="invoke", code="429"}': "0+5x40",
        },
        {
            'caddy_http_request_duration_seconds_count{namespace="registry", server="registry", '
            'handler="invoke", code="404"}': "0+90x40",
            'caddy_http_request_duration_seconds_count{namespace="registry", server="registry", '
            'handler="headers", code="500"}': "0+10x40",
        },
    ),
    "RegistryUploadsWait": (
        {
            'caddy_http_request_duration_seconds_count{namespace="registry", server="registry", '
            'handler="headers", code="503", method="PATCH"}': "0+1x40"
        },
        {
            'caddy_http_request_duration_seconds_count{namespace="registry", server="registry", '
            'handler="headers", code="503", method="PATCH"}': "0 1x40",
            'caddy_http_request_duration_seconds_count{namespace="registry", server="registry", '
            'handler="headers", code="503", method="GET"}': "0+1x40",
            'caddy_http_request_duration_seconds_count{namespace="registry", server="registry", '
            'handler="headers", code="502", method="PATCH"}': "0+1x40",
            'caddy_http_request_duration_seconds_count{namespace="registry", server="registry", '
            'handler="headers", code="201", method="PATCH"}': "0+9x40",
        },
    ),
    "RegistryEventsWait": (
        {
            'registry_notifications_pending_total{namespace="registry", endpoint="ci"}': (
                "500 1500x50"
            )
        },
        {
            'registry_notifications_pending_total{namespace="registry", endpoint="ci", '
            'instance="a"}': "900x50",
            'registry_notifications_pending_total{namespace="registry", endpoint="ci", '
            'instance="b"}': "900x50",
        },
    ),
    "RegistryWrongLogins": (
        {
            'caddy_http_request_duration_seconds_count{namespace="registry", server="registry", '
            'handler="authentication", code="401"}': "0+360x40"
        },
        {
            'caddy_http_request_duration_seconds_count{namespace="registry", server="registry", '
            'handler="authentication", code="401"}': "0+240x40"
        },
    ),
    "RegistryMaintenanceFails": (
        {
            'kube_job_status_start_time{namespace="registry", job_name="maintenance-1"}': "100x40",
            'kube_job_status_start_time{namespace="registry", job_name="maintenance-2"}': "200x40",
            'kube_job_status_succeeded{namespace="registry", job_name="maintenance-1"}': "1x40",
            'kube_job_status_failed{namespace="registry", job_name="maintenance-2", '
            'reason="BackoffLimitExceeded"}': "1x40",
        },
        {
            'kube_job_status_start_time{namespace="registry", job_name="maintenance-1"}': "100x40",
            'kube_job_status_start_time{namespace="registry", job_name="maintenance-2"}': "200x40",
            'kube_job_status_succeeded{namespace="registry", job_name="maintenance-2"}': "1x40",
            'kube_job_status_failed{namespace="registry", job_name="maintenance-1", '
            'reason="BackoffLimitExceeded"}': "1x40",
        },
    ),
    "RegistryMaintenanceMissing": (
        {
            'kube_cronjob_next_schedule_time{namespace="registry", cronjob="maintenance"}': (
                "-4000x50"
            )
        },
        {
            'kube_cronjob_next_schedule_time{namespace="registry", cronjob="maintenance"}': (
                "-1000x50"
            )
        },
    ),
    "RegistryFixableCritical": (
        {
            'registry_vulnerabilities{namespace="registry", repository="app", '
            'severity="critical", fixable="true", pod="a"}': "1x40",
            'registry_vulnerabilities{namespace="registry", repository="app", '
            'severity="critical", fixable="true", pod="b"}': "1x40",
            'registry_vulnerabilities{namespace="registry", repository="other", '
            'severity="critical", fixable="true", pod="a"}': "0x40",
        },
        {
            'registry_vulnerabilities{namespace="registry", repository="app", '
            'severity="critical", fixable="false"}': "1x40",
            'registry_vulnerabilities{namespace="registry", repository="app", '
            'severity="high", fixable="true"}': "1x40",
            'registry_vulnerabilities{namespace="another", repository="app", '
            'severity="critical", fixable="true"}': "1x40",
        },
    ),
    "RegistryScanFails": (
        {
            'kube_job_status_start_time{namespace="registry", job_name="scan-1"}': "100x40",
            'kube_job_status_failed{namespace="registry", job_name="scan-1", '
            'reason="DeadlineExceeded"}': "1x40",
        },
        {
            'kube_job_status_start_time{namespace="registry", job_name="maintenance-1"}': "100x40",
            'kube_job_status_failed{namespace="registry", job_name="maintenance-1", '
            'reason="DeadlineExceeded"}': "1x40",
        },
    ),
    "RegistryScanMissing": (
        {'kube_cronjob_next_schedule_time{namespace="registry", cronjob="scan"}': "-4000x50"},
        {'kube_cronjob_next_schedule_time{namespace="registry", cronjob="scan"}': "-1000x50"},
    ),
    "RegistryScanDatabaseOld": (
        {
            'registry_scan_database_timestamp_seconds{namespace="registry", pod="a"}': (
                f"-{8 * 86400}x50"
            ),
            'registry_scan_database_timestamp_seconds{namespace="registry", pod="b"}': (
                f"-{9 * 86400}x50"
            ),
        },
        {
            'registry_scan_database_timestamp_seconds{namespace="registry", pod="a"}': (
                f"-{6 * 86400}x50"
            ),
        },
    ),
}
"""For each alert series in which it fires after 40 minutes, and some in which it does not."""

for _name in ("RegistryMaintenanceFails", "RegistryMaintenanceMissing"):
    _fires, _silent = SERIES[_name]
    # The copy has the same two, of its own CronJob.
    SERIES[_name.replace("Maintenance", "Backup")] = (
        {series.replace("maintenance", "backup"): x for series, x in _fires.items()},
        {series.replace("maintenance", "backup"): x for series, x in _silent.items()},
    )


def alert_test(name: str, series: dict[str, str], *, fires: bool) -> dict[str, Any]:
    (rule,) = [rule for group in GROUPS for rule in group["rules"] if rule["alert"] == name]
    by = {"endpoint": "ci", "repository": "app"}
    labels = rule["labels"] | {x: by[x] for x in by if f"by ({x})" in rule["expr"]}
    expected = {"exp_labels": labels, "exp_annotations": rule["annotations"]}
    return {
        "interval": "1m",
        "input_series": [{"series": key, "values": values} for key, values in series.items()],
        "alert_rule_test": [
            {"eval_time": "40m", "alertname": name, "exp_alerts": [expected] if fires else []}
        ],
    }


def login_test() -> dict[str, Any]:
    """Return the test of logins that end: Prometheus's own clock tells, so it has no series."""
    (rule,) = [
        rule for group in GROUPS for rule in group["rules"] if rule["alert"] == "RegistryLoginEnds"
    ]
    expected = [
        {"exp_labels": {**rule["labels"], "user": user}, "exp_annotations": rule["annotations"]}
        for user in ("ends-soon", "ends-in-two-weeks")
    ]
    at = {"eval_time": "40m", "alertname": rule["alert"], "exp_alerts": expected}
    return {"interval": "1m", "alert_rule_test": [at]}


def test_promtool_accepts_the_alerts_and_each_fires_when_it_is_to_and_else_does_not(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    promtool = prometheus.built(sandbox) / "promtool"
    (tmp_path / "alerts.yml").write_text(yaml.safe_dump({"groups": GROUPS}))
    checked = sandbox.run(promtool, "check", "rules", tmp_path / "alerts.yml").stdout
    assert f"{len(SERIES) + 1} rules found" in checked
    tests = [
        alert_test(name, series, fires=fires)
        for name, both in SERIES.items()
        for series, fires in zip(both, (True, False), strict=True)
    ]
    tests.append(login_test())
    file = {"rule_files": ["alerts.yml"], "evaluation_interval": "1m", "tests": tests}
    (tmp_path / "test.yml").write_text(yaml.safe_dump(file))
    assert "SUCCESS" in sandbox.run(promtool, "test", "rules", tmp_path / "test.yml").stdout
