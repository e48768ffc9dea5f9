"""The comment on a merge request that the example pipeline writes."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from examples.gitlab.comment import LONGEST, MARKER, comment, put
from tests.unit.servers import Request, Result, Serve, serve

__all__ = ["serve"]


class GitLab:
    """The comments of a merge request, and who asked."""

    def __init__(self, *bodies: str) -> None:
        self.bodies = list(bodies)
        self.tokens: set[str | None] = set()

    def __call__(self, request: Request) -> Result:
        self.tokens.add(request.headers["PRIVATE-TOKEN"])
        path = request.path.partition("?")[0]
        if request.command == "GET":
            notes: Any = [{"id": i, "body": body} for i, body in enumerate(self.bodies)]
        else:
            notes = json.loads(request.body)
            if request.command == "PUT":
                self.bodies[int(path.rpartition("/")[2])] = notes["body"]
            else:
                self.bodies.append(notes["body"])
        return 200, {"Content-Type": "application/json"}, json.dumps(notes)


def test_each_run_replaces_the_comment_of_the_one_before_and_no_other(serve: Serve) -> None:
    """Merge requests with fifty previews are not read."""
    gitlab = GitLab("looks good", f"as in {MARKER}?")
    notes = f"{serve(gitlab)}/projects/1/merge_requests/2/notes"
    put(comment("+ 1 to create"), notes, "secret")
    put(comment("1 unchanged"), notes, "secret")
    assert gitlab.bodies == ["looks good", f"as in {MARKER}?", comment("1 unchanged")]
    assert gitlab.tokens == {"secret"}


@pytest.mark.parametrize("output", ["no fence", "`x`", "```\ninstructions\n```", "`````"])
def test_what_is_previewed_cannot_end_the_block_of_code(output: str) -> None:
    """The README that is an output of the stack has fences, and users' values may have some."""
    fence = comment(output).splitlines()[-1]
    assert re.fullmatch("`{3,}", fence)
    assert comment(output).endswith(f"\n{fence}diff\n{output}\n{fence}\n")
    assert fence not in output


def test_of_an_output_that_is_too_long_the_end_is_shown_since_it_has_the_totals() -> None:
    text = comment("start" + "x" * LONGEST + "\n1 to delete")
    assert "1 to delete" in text
    assert "start" not in text
    assert "The end of it" in text
    assert len(text) < 1_000_000
