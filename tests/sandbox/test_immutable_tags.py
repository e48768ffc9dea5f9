"""Tags that stay, from the setting to what a client shows."""

from __future__ import annotations

from sandbox.build import images
from tests.sandbox.helpers import Sandbox


def test_a_release_stays_what_it_is_until_the_setting_goes(sandbox: Sandbox) -> None:
    up = ("up", "--yes", "--skip-preview")

    def push(image: str, tag: str, *, fails: bool = False) -> str:
        source = f"oci-archive:{images.archive_path(sandbox.layout.tools, image)}"
        creds = f"--dest-creds=admin:{sandbox.password}"
        target = f"docker://{sandbox.registry}/team/app:{tag}"
        return sandbox.run("skopeo", "copy", creds, source, target, fails=fails).stderr

    rule = {"repositories[0]": "team/*", "matching[0]": "^v[0-9]"}
    sandbox.config(**{f"immutable__releases__{key}": value for key, value in rule.items()})
    try:
        # The smoke test pushes one tag again and again: the rollout must pass it.
        sandbox.pulumi(*up)
        push("whoami", "v1")
        push("whoami", "v1")
        shown = push("pause", "v1", fails=True)
        assert "immutable.releases lets this tag neither change nor go" in shown
        push("whoami", "latest")
        push("pause", "latest")
        sandbox.pulumi("preview", "--expect-no-changes")
    finally:
        sandbox.pulumi("config", "rm", "immutable")
        sandbox.pulumi(*up)
    push("pause", "v1")
