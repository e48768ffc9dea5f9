"""What docs/signatures.md promises is what is tried."""

from __future__ import annotations

import re
from pathlib import Path

from tests.clients.signing import ATTACHED, PUSHED

PAGE = Path(__file__).parent.parent.parent / "docs" / "signatures.md"


def test_each_way_to_sign_that_the_page_lists_is_tried_and_no_other() -> None:
    """`make clients` runs them; a row that nothing runs would be a promise."""
    table = PAGE.read_text().partition("|---|---|---|\n")[2].partition("\n\n")[0]
    assert re.findall("^[|] `([^`]*)`", table, re.MULTILINE) == [*ATTACHED, *PUSHED]
