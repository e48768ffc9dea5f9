"""The benchmark's thin uplink."""

from __future__ import annotations

import hashlib
import time

from bench.slow_upload import Layer


def test_a_layer_is_handed_out_whole_and_no_faster_than_its_rate() -> None:
    layer = Layer(size=2_500, rate=10_000)
    start = time.monotonic()
    content = b"".join(layer)
    assert time.monotonic() - start >= 0.25, "a faster one would prove nothing"
    assert len(content) == 2_500
    assert layer.digest == f"sha256:{hashlib.sha256(content).hexdigest()}"
