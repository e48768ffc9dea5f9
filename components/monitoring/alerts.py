"""The alerts, as Prometheus and the PrometheusRule of its operator have them.

https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from components.metadata import BACKUP, MAINTENANCE, SCAN
from settings.schema import ENDS_SOON_SECONDS

REGISTRY, MANIFESTS, AUTH_PROXY = "registry", "manifests", "auth-proxy"
"""What the label ``component`` of metrics holds."""

WRONG_LOGINS = (
    'caddy_http_request_duration_seconds_count{SELECTOR, server="registry", '
    'handler=~"authentication|subroute", code="401"}'
)
"""Requests that the step refuses which compares logins; with two generations it is a subroute.
Requests without a login do not come so far."""

WITHOUT_PLACE = (
    'caddy_http_request_duration_seconds_count{SELECTOR, server="registry", handler="headers", '
    'code="503", method=~"PATCH|POST|PUT"}'
)
"""Requests with a body that found no place: components/registry/places.py. A storage that is down
is another status."""

OF_CACHES = (
    'caddy_http_request_duration_seconds_count{SELECTOR, server="registry", handler="invoke"'
)
"""Requests for caches of other registries: components/registry/cache_routes.py"""

WAITING_EVENTS = "registry_notifications_pending_total{SELECTOR}"
"""Events that a process of a pod keeps for a receiver; it has no limit."""

DATABASE_OLD_SECONDS = 7 * 24 * 60 * 60
"""Trivy's is made anew four times a day: https://github.com/aquasecurity/trivy-db"""

RUNBOOK = "docs/monitoring.md in the repository of this program"


_Alert = tuple[str, str, str, str, str]
"""Name, expression, how long it must hold, severity, and what it means."""


def alert_groups(
    namespace: str, ends: Mapping[str, int], *, scan: bool = False
) -> list[dict[str, Any]]:
    """Return the groups of alerts.

    Those of CronJobs need the metrics of kube-state-metrics.

    Args:
        namespace: The registry's.
        ends: When logins end, in seconds since 1970, by user.
        scan: Whether images are scanned.
    """
    alerts = [*_ALERTS, *([_login_ends(ends)] if ends else []), *(_SCAN_ALERTS if scan else [])]
    return [
        {
            "name": f"registry-{namespace}",
            "rules": [
                {
                    "alert": name,
                    "expr": expression.replace("NAMESPACE", namespace),
                    "for": duration,
                    "labels": {"severity": severity},
                    "annotations": {"summary": summary, "runbook": f"{RUNBOOK}: {name}"},
                }
                for name, expression, duration, severity, summary in alerts
            ],
        }
    ]


def _login_ends(ends: Mapping[str, int]) -> _Alert:
    users = (
        f'label_replace(vector({end}), "user", "{user}", "", "")' for user, end in ends.items()
    )
    return (
        "RegistryLoginEnds",
        # The end is no metric: Prometheus knows the time itself.
        f"0 < ({' or '.join(users)}) - time() < {ENDS_SOON_SECONDS}",
        "0m",
        "warning",
        "The login of this user ends within two weeks.",
    )


_SELECTOR = 'namespace="NAMESPACE"'
_PROCESSES = "|".join((REGISTRY, MANIFESTS, AUTH_PROXY))
# Without bodies: a client that sends a broken one makes the registry respond with 500.
_RESPONSES = f'registry_http_requests_total{{{_SELECTOR}, method!~"patch|put"'

_OF_CACHES = OF_CACHES.replace("SELECTOR", _SELECTOR)


def _fails(cron_job: str, severity: str, summary: str) -> _Alert:
    jobs = f'{_SELECTOR}, job_name=~"{cron_job}-.+"'
    return (
        f"Registry{cron_job.title()}Fails",
        # Failed Jobs stay for a while, so only the last one counts.
        f"max(kube_job_status_start_time{{{jobs}}} * on (namespace, job_name) "
        f"(sum by (namespace, job_name) (kube_job_status_failed{{{jobs}}}) > bool 0)) > "
        f"(max(kube_job_status_start_time{{{jobs}}} * on (namespace, job_name) "
        f"(kube_job_status_succeeded{{{jobs}}} > bool 0)) or vector(0))",
        "0m",
        severity,
        summary,
    )


def _is_missing(cron_job: str) -> _Alert:
    return (
        f"Registry{cron_job.title()}Missing",
        f'time() - max(kube_cronjob_next_schedule_time{{{_SELECTOR}, cronjob="{cron_job}"}}) '
        "> 3600",
        "10m",
        "warning",
        f"The {cron_job} should have started more than an hour ago.",
    )


_ALERTS: tuple[_Alert, ...] = (
    (
        "RegistryDown",
        # Of each pod's three processes none can do without the others.
        f'(min(sum by (component) (up{{{_SELECTOR}, component=~"{_PROCESSES}"}})) '
        "or vector(0)) == 0",
        "5m",
        "critical",
        "In every pod of the registry a process does not respond: nobody can push or pull.",
    ),
    (
        "RegistryFails",
        f'sum(rate({_RESPONSES}, code=~"5.."}}[5m])) / sum(rate({_RESPONSES}}}[5m])) > 0.05',
        "5m",
        "critical",
        "More than 5 % of the registry's responses are errors of its own; mostly the storage's.",
    ),
    (
        "RegistryStorageSlow",
        "histogram_quantile(0.95, sum by (le) (rate("
        f"registry_storage_action_seconds_bucket{{{_SELECTOR}}}[10m]))) > 5",
        "15m",
        "warning",
        "One in twenty requests of the registry to its storage takes longer than 5 s.",
    ),
    (
        "RegistryUploadsWait",
        f"sum(rate({WITHOUT_PLACE.replace('SELECTOR', _SELECTOR)}[10m])) > 0",
        "10m",
        "warning",
        "For ten minutes and more, uploads have found no place within two minutes each.",
    ),
    (
        "RegistryCacheFails",
        f'sum(rate({_OF_CACHES}, code=~"429|5.."}}[10m])) / sum(rate({_OF_CACHES}}}[10m])) > 0.05',
        "10m",
        "warning",
        "More than 5 % of the requests for what caches of other registries hold fail: nodes ask "
        "the other registries themselves.",
    ),
    (
        "RegistryEventsWait",
        f"max by (endpoint) ({WAITING_EVENTS.replace('SELECTOR', _SELECTOR)}) > 1000",
        "30m",
        "warning",
        "More than 1000 events wait in a pod's memory for the receiver of a webhook.",
    ),
    (
        "RegistryWrongLogins",
        f"sum(rate({WRONG_LOGINS.replace('SELECTOR', _SELECTOR)}[5m])) > 5",
        "15m",
        "warning",
        "More than 5 logins a second are wrong.",
    ),
    _fails(
        MAINTENANCE,
        "critical",
        "The last run of the maintenance has failed: an image has lost something, or nothing is "
        "collected. Its log says which.",
    ),
    _is_missing(MAINTENANCE),
    _fails(
        BACKUP,
        "warning",
        "The last copy of the storage is not good: the one before is all there is. The log of the "
        "run says why.",
    ),
    _is_missing(BACKUP),
)

_SCAN_ALERTS = (
    (
        "RegistryFixableCritical",
        # Each pod of the registry tells of it.
        "max by (repository) (registry_vulnerabilities"
        f'{{{_SELECTOR}, severity="critical", fixable="true"}}) > 0',
        "0m",
        "warning",
        "Images of this repository have critical vulnerabilities that newer packages do not have.",
    ),
    (
        "RegistryScanDatabaseOld",
        f"time() - max(registry_scan_database_timestamp_seconds{{{_SELECTOR}}}) > "
        f"{DATABASE_OLD_SECONDS}",
        "0m",
        "warning",
        "The scan's database is a week old: it knows no vulnerability that was found since.",
    ),
    _fails(SCAN, "warning", "The last scan has failed: what is known of images is older."),
    _is_missing(SCAN),
)
