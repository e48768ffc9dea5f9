"""What happens to the storage by itself: usage, checks, collection and retention."""

from components.maintenance.maintenance import Maintenance, MaintenanceArgs

__all__ = ["Maintenance", "MaintenanceArgs"]
