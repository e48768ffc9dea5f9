"""The program passes in each of its modes, also in a preview that knows nothing yet.

For what the policies say there is no other test: a pod without a right that it should not have, a
port that is closed, a secret that is in a Secret only.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.policy.analyzer import refused, refused_stack
from tests.unit.program.conftest import CONFIG, Run
from tests.unit.program.modes import MODES

CHOICES = {
    "ingress-gateway": {"tls"},
    "space-deleted": {"kept-images"},
    "tls-none": {"tls"},
    "tls-none-without-tcp-route": {"tls"},
}
"""The modes that a policy refuses on purpose, unless its configuration accepts them."""


@pytest.mark.parametrize("preview", [False, True], ids=["up", "preview"])
@pytest.mark.parametrize("mode", ["default", *MODES])
def test_the_program_passes_every_policy(run: Run, mode: str, preview: bool) -> None:
    engine = run({**CONFIG, **MODES.get(mode, {})}, preview=preview)
    reports: dict[str, Any] = {}
    for resource in engine.resources.values():
        reports |= refused(
            resource.type,
            resource.inputs,
            urn=resource.urn,
            protect=bool(resource.options.get("protect")),
        )
    reports |= refused_stack(*((x.urn, x.type, x.state) for x in engine.resources.values()))
    assert set(reports) == CHOICES.get(mode, set()), reports
