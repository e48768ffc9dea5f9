"""The settings of the page for browsers."""

from __future__ import annotations

from settings.section import Flag, Section


class PageSettings(Section):
    """A page for browsers."""

    enabled: Flag = False
    """Serve [a page](docs/page.md) at `https://<hostname>/` that shows repositories, tags and usage
    after the same login."""
