"""Put the output of a preview under its merge request: one comment, which each run replaces.

https://docs.gitlab.com/api/notes/#merge-requests
"""

from __future__ import annotations

import json
import os
import re
import sys
import urllib.request
from pathlib import Path

MARKER = "<!-- pulumi preview -->"
"""How the comment is found again; it does not show."""

LONGEST = 100_000
"""How many characters of the output are shown: its end, which has the totals and the reason of a
failure. A comment may have a million: https://docs.gitlab.com/administration/instance_limits/"""


def comment(output: str) -> str:
    """Return the comment on the output of a preview."""
    shown = output[-LONGEST:]
    cut = "The end of it; all is in the job's log.\n\n" if len(shown) < len(output) else ""
    # A fence that is longer than any in the text.
    fence = "`" * (1 + max([2, *(len(run) for run in re.findall("`+", shown))]))
    return f"{MARKER}\n### pulumi preview\n\n{cut}{fence}diff\n{shown}\n{fence}\n"


def put(text: str, notes: str, token: str) -> None:
    """Create the comment, or replace it, with a token of the scope `api`."""

    def request(method: str, url: str, body: str = "") -> bytes:
        data = json.dumps({"body": body}).encode() if body else None
        headers = {"PRIVATE-TOKEN": token, "Content-Type": "application/json"}
        # The URL is GitLab's own variable.
        asked = urllib.request.Request(url, data, headers, method=method)  # noqa: S310
        with urllib.request.urlopen(asked, timeout=30) as response:  # noqa: S310
            content: bytes = response.read()
            return content

    oldest = json.loads(request("GET", f"{notes}?sort=asc&order_by=created_at&per_page=100"))
    ours = [note["id"] for note in oldest if note["body"].startswith(MARKER)]
    if ours:
        request("PUT", f"{notes}/{ours[0]}", text)
    else:
        request("POST", notes, text)


if __name__ == "__main__":
    # https://docs.gitlab.com/ci/variables/predefined_variables/
    api, project, merge_request = (
        os.environ[f"CI_{name}"] for name in ("API_V4_URL", "PROJECT_ID", "MERGE_REQUEST_IID")
    )
    put(
        comment(Path(sys.argv[1]).read_text()),
        f"{api}/projects/{project}/merge_requests/{merge_request}/notes",
        os.environ["COMMENT_TOKEN"],
    )
