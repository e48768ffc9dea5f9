"""A response of HTTP."""

from __future__ import annotations

import html
import re
from email.message import Message
from typing import NamedTuple

EXCERPT = 300
"""How much of a response is shown, in characters."""


class Response(NamedTuple):
    """A response; its headers have names in any case."""

    status: int
    headers: Message
    body: bytes

    def excerpt(self) -> str:
        """Return the beginning of the body, as text."""
        return self.body[:EXCERPT].decode(errors="replace").strip()

    def element(self, name: str) -> str:
        """Return the text of the body's first XML element of a name; empty if there is none."""
        match = re.search(rf"<{name}>([^<]*)</{name}>", self.body.decode(errors="replace"))
        return html.unescape(match[1]) if match else ""
