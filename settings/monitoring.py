"""The settings of the monitoring."""

from __future__ import annotations

from settings.section import Flag, Section
from settings.types import Label


class MonitoringSettings(Section):
    """Metrics for Prometheus."""

    enabled: Flag = False
    """Serve metrics, and tell Prometheus's operator of them, of alerts and of [a
    dashboard](docs/monitoring.md)."""
    namespace: Label = "monitoring"
    """The namespace of Prometheus's pods, which alone reach the metrics."""
