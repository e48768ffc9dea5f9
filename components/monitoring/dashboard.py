"""The Grafana dashboard.

https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/
"""

from __future__ import annotations

import json
from typing import Any

from components.monitoring.alerts import WRONG_LOGINS

_SELECTOR = 'namespace="$namespace"'
_SECONDS = f"registry_storage_action_seconds_bucket{{{_SELECTOR}}}"

_PANELS = (
    (
        "Requests by response",
        "reqps",
        {
            "{{code}}": "sum by (code) (rate(registry_http_requests_total"
            f"{{{_SELECTOR}}}[$__rate_interval]))"
        },
    ),
    (
        "Wrong logins",
        "reqps",
        {"wrong": f"sum(rate({WRONG_LOGINS.replace('SELECTOR', _SELECTOR)}[$__rate_interval]))"},
    ),
    (
        "Pulled and pushed",
        "Bps",
        {
            "pulled": "sum(rate(registry_http_response_size_bytes_sum"
            f"{{{_SELECTOR}}}[$__rate_interval]))",
            "pushed": "sum(rate(registry_http_request_size_bytes_sum"
            f"{{{_SELECTOR}}}[$__rate_interval]))",
        },
    ),
    (
        "Requests to the storage",
        "s",
        {
            f"{quantile} of {{{{action}}}}": f"histogram_quantile({quantile}, sum by (le, action) "
            f"(rate({_SECONDS}[$__rate_interval])))"
            for quantile in (0.5, 0.95)
        },
    ),
    (
        "Memory",
        "bytes",
        {"{{instance}} {{component}}": f"process_resident_memory_bytes{{{_SELECTOR}}}"},
    ),
    (
        "Runs of the maintenance",
        "none",
        {
            state: f'sum(kube_job_status_{state}{{{_SELECTOR}, job_name=~"maintenance-.+"}})'
            for state in ("succeeded", "failed")
        },
    ),
)
"""Title, unit, and the queries by the legend of their lines."""


def dashboard() -> str:
    """Return the dashboard, in JSON; it asks for the data source and the namespace."""
    source = {"type": "prometheus", "uid": "${datasource}"}
    panels = [
        {
            "id": number + 1,
            "title": title,
            "type": "timeseries",
            "datasource": source,
            "gridPos": {"x": number % 2 * 12, "y": number // 2 * 8, "w": 12, "h": 8},
            "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
            "targets": [
                {"refId": chr(65 + index), "expr": query, "legendFormat": legend}
                for index, (legend, query) in enumerate(queries.items())
            ],
        }
        for number, (title, unit, queries) in enumerate(_PANELS)
    ]
    model: dict[str, Any] = {
        "title": "Private registry",
        "uid": "private-registry",
        "schemaVersion": 39,
        "tags": ["registry"],
        "time": {"from": "now-6h", "to": "now"},
        "refresh": "1m",
        "templating": {
            "list": [
                {"name": "datasource", "type": "datasource", "query": "prometheus"},
                {
                    "name": "namespace",
                    "type": "query",
                    "datasource": source,
                    "query": "label_values(registry_http_requests_total, namespace)",
                    "refresh": 2,
                },
            ]
        },
        "panels": panels,
    }
    return json.dumps(model, indent=1) + "\n"
