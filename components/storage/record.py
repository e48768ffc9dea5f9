"""The record, in the state, of where the images are: `pulumi up` does not leave it unasked."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pulumi

from settings.problems import Problem, SettingsError, set_command
from settings.schema import S3Settings, SpacesSettings

Place = Mapping[str, str]
"""The settings that say where the images are, by key, and the fate of a Space on destroy."""

_PROCEDURE = "docs/storage.md#move-the-images"


def storage_record(
    settings: SpacesSettings | S3Settings, spaces_endpoint: str
) -> pulumi.Output[pulumi.Resource]:
    """Record where the images are, and refuse settings that lead elsewhere.

    A stash compares the state with the settings before anything that depends on it is touched, in
    previews too: https://www.pulumi.com/docs/iac/concepts/stash/

    Args:
        settings: Where the images are to be.
        spaces_endpoint: The URL of Spaces; ``{{.Region}}`` in it stands for the region.

    Returns:
        The record, known only if the images stay where they are. All providers depend on it.
    """
    wanted = place(settings, spaces_endpoint)
    moved_from = settings.moved_from if settings.kind == "s3" else None

    def compare(args: pulumi.ResourceHookArgs) -> None:
        assert args.old_inputs and args.new_inputs  # noqa: S101 - an update has both
        require_same_place(args.old_inputs["input"], args.new_inputs["input"], moved_from)

    hook = pulumi.ResourceHook(
        "storage-record", compare, pulumi.ResourceHookOptions(on_dry_run=True)
    )
    record = pulumi.Stash(
        "storage-record",
        input=wanted,
        opts=pulumi.ResourceOptions(hooks=pulumi.ResourceHookBinding(before_update=[hook])),
    )

    def unmoved(recorded: Place) -> pulumi.Resource:
        # `pulumi up --target` of something else neither updates the record nor runs its hook.
        require_same_place(recorded, wanted, moved_from)
        return record

    return record.input.apply(unmoved)


def place(settings: SpacesSettings | S3Settings, spaces_endpoint: str) -> Place:
    """Return what is recorded of the settings.

    Args:
        settings: Where the images are to be.
        spaces_endpoint: The URL of Spaces; ``{{.Region}}`` in it stands for the region.
    """
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


def require_same_place(old: Place, new: Place, moved_from: str | None) -> None:
    """Refuse to leave the place of the images, unless they have been copied.

    Args:
        old: The place of the images.
        new: The place that the settings lead to.
        moved_from: The URL of the place that the user has copied the images from, if any.

    Raises:
        SettingsError: If the registry would not find its images, or would lose them.
    """
    if url(old) == url(new):
        return
    stay = _commands(old, new)
    if new["kind"] == "spaces":
        reason = "another Space would be empty, and images cannot be copied before it exists"
        fix = f"{stay}\n       or move the images to a bucket that you create: {_PROCEDURE}"
    elif old.get("onDestroy", "retain") != "retain":
        reason = "their Space belongs to this stack, which must first be told to leave it there"
        retain = set_command(["storage", "onDestroy"], "retain")
        fix = f"{stay}\n       and to move them: {retain} && pulumi up, then {_PROCEDURE}"
    elif moved_from == url(old):
        return
    else:
        reason = "the registry would start empty in another place"
        moved = set_command(["storage", "movedFrom"], url(old))
        fix = f"{stay}\n       or, once the images are copied ({_PROCEDURE}): {moved}"
    expected = f"the images are in {url(old)}; {reason}"
    raise SettingsError([Problem("storage", json.dumps(url(new)), expected, fix)])


def _commands(old: Place, new: Place) -> str:
    """Return the commands that lead from the new settings back to the old ones."""
    keys = [key for key in old if key != "onDestroy"]
    if old["kind"] != new["kind"]:
        # The keys of the other kind are unknown ones for this.
        commands = ["pulumi config rm --path storage"]
        keys = [key for key in keys if old[key] and (old["kind"], key) != ("spaces", "endpoint")]
    else:
        commands = []
        keys = [key for key in keys if old[key] != new[key]]
    for key in keys:
        path = ["storage", key]
        if (old["kind"], key) == ("spaces", "endpoint"):
            path = ["digitalocean:spacesEndpoint"]
        if old[key]:
            commands.append(set_command(path, old[key]))
        else:
            commands.append(f"pulumi config rm --path {'.'.join(path)}")
    return " && ".join(commands)
