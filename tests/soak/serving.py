"""A server in a thread of its own."""

from __future__ import annotations

import socketserver
import threading
from typing import Self


class Serving(socketserver.BaseServer):
    """Serves while it is entered."""

    request_queue_size = 256

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()
