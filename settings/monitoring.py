"""The settings of the monitoring."""

from __future__ import annotations

from settings.section import Flag, Section
from settings.types import Label


class MonitoringSettings(Section):
    """Metrics for Prometheus.

    Attributes:
        enabled: Whether pods serve metrics, and there are alerts and a dashboard.
        namespace: The namespace of Prometheus's pods, which alone reach the metrics.
    """

    enabled: Flag = False
    namespace: Label = "monitoring"
