"""Metrics for Prometheus: who may get them, alerts, and a dashboard."""

from components.monitoring.monitoring import Monitoring, MonitoringArgs

__all__ = ["Monitoring", "MonitoringArgs"]
