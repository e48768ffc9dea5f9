"""The place of the images, which `pulumi up` does not leave unless they have been copied."""

from __future__ import annotations

import json
from collections.abc import Mapping

from settings.commands import KeyPath, fix_command, set_command
from settings.problems import Problem, SettingsError
from settings.storage import S3Settings, SpacesSettings

Place = Mapping[str, str]
"""The settings that say where the images are, by key, and the fate of a Space on destroy."""

_KEYS = [*SpacesSettings.aliases(), *S3Settings.aliases()]
"""The keys of both kinds, in the order in which commands set them; the state has none."""

_PROCEDURE = "docs/storage.md#move-the-images"


def place(settings: SpacesSettings | S3Settings, spaces_endpoint: str) -> Place:
    """Return the place that the settings lead to; ``{{.Region}}`` stands for the region."""
    if settings.kind == "s3":
        return {
            "kind": "s3",
            "endpoint": settings.endpoint,
            "bucket": settings.bucket,
            "rootDirectory": settings.root_directory,
        }
    return {
        "kind": "spaces",
        "endpoint": spaces_endpoint,
        "region": settings.region,
        "namePrefix": settings.name_prefix,
        "onDestroy": settings.on_destroy,
    }


def url(place: Place) -> str:
    """Return a place as a URL; a Space's name ends with a random suffix."""
    if place["kind"] == "s3":
        return "/".join(filter(None, (place[x] for x in ("endpoint", "bucket", "rootDirectory"))))
    endpoint = place["endpoint"].replace("{{.Region}}", place["region"])
    return f"{endpoint}/{place['namePrefix']}-*"


def require_same_place(
    old: Place, new: Place, moved_from: str | None, also: str | None = None
) -> None:
    """Refuse to leave the place of the images, unless they have been copied.

    Args:
        moved_from: The URL of the place that the images were copied from, if any.
        also: A command that is needed to stay, beyond those that change the settings back.

    Raises:
        SettingsError: If the registry would not find its images, or would lose them.
    """
    if _without_fate(old) == _without_fate(new):
        return
    stay = " && ".join(filter(None, [_commands(old, new), also]))
    if new["kind"] == "spaces":
        reason = "another Space would be empty, and images cannot be copied before it exists"
        fix = f"{stay}\nor move the images to a bucket that you create: {_PROCEDURE}"
    elif old.get("onDestroy", "retain") != "retain":
        reason = "their Space belongs to this stack, whose storage.onDestroy must first be retain"
        retain = set_command(["storage", "onDestroy"], "retain")
        fix = f"{stay}\nand to move them: {retain} && pulumi up, then {_PROCEDURE}"
    elif moved_from == url(old):
        return
    else:
        reason = "the registry would start empty in another place"
        moved = set_command(["storage", "movedFrom"], url(old))
        fix = f"{stay}\nor, once the images are copied ({_PROCEDURE}): {moved}"
    expected = f"the state says that the images are in {url(old)}; {reason}"
    raise SettingsError(Problem("storage", json.dumps(url(new)), expected, fix))


def _without_fate(place: Place) -> Place:
    return {key: value for key, value in place.items() if key != "onDestroy"}


def _commands(old: Place, new: Place) -> str:
    """Return the commands that lead from the new settings back to the old ones."""
    if old["kind"] != new["kind"]:
        # The keys of the other kind are unknown to this one.
        kept = {key: old[key] for key in _KEYS if old.get(key)}
        if old["kind"] == "spaces":
            del kept["endpoint"]
        return fix_command(("storage",), kept)
    paths: dict[str, KeyPath] = {
        key: ("storage", key) for key in _KEYS if key in _without_fate(old)
    }
    if old["kind"] == "spaces":
        paths["endpoint"] = ("digitalocean:spacesEndpoint",)
    changed = [key for key in paths if old[key] != new[key]]
    return " && ".join(fix_command(paths[key], old[key] or None) for key in changed)
