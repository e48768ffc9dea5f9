"""The settings of the scan for vulnerabilities."""

from __future__ import annotations

from settings.schedule import Schedule
from settings.section import Flag, Section
from settings.types import Artifact, TrivyImage


class ScanSettings(Section):
    """The CronJob that looks for known vulnerabilities in images."""

    enabled: Flag = False
    """[Scan all images](docs/scan.md) that tags name."""
    schedule: Schedule = "47 3 * * *"
    """When, in UTC, as a [cron
    schedule](https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/#schedule-syntax)."""
    database: Artifact = "ghcr.io/aquasecurity/trivy-db:2"
    """Where Trivy's database is. In this registry, as a
    [copy](docs/scan.md#without-the-internet) or in a cache, the scan needs no Internet."""
    image: TrivyImage = "ghcr.io/aquasecurity/trivy:0.76.2"
    """Trivy, 0.70.0 or newer."""
