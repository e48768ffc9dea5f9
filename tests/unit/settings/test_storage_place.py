"""Settings that lead away from the images are refused, in words that say how to stay or to move."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter

from settings.problems import SettingsError
from settings.storage import S3Settings, SpacesSettings
from settings.storage_place import place, require_same_place, url
from tests.unit.conftest import Golden
from tests.unit.program.modes import S3

ENDPOINT = "https://{{.Region}}.digitaloceanspaces.com"
SPACE = {"kind": "spaces"}
SPACE_URL = "https://nyc3.digitaloceanspaces.com/registry-*"
BUCKET_URL = "https://s3.eu-central-1.amazonaws.com/images/k3s"

STORAGE: TypeAdapter[SpacesSettings | S3Settings] = TypeAdapter(SpacesSettings | S3Settings)


def recorded(settings: dict[str, Any], endpoint: str = ENDPOINT) -> Any:
    return place(STORAGE.validate_python(settings), endpoint)


def refusal(old: Any, new: Any, moved_from: str | None = None) -> str:
    with pytest.raises(SettingsError) as error:
        require_same_place(old, new, moved_from)
    return str(error.value)


@pytest.mark.parametrize(("settings", "expected"), [(SPACE, SPACE_URL), (S3, BUCKET_URL)])
def test_a_place_reads_as_a_url(settings: dict[str, Any], expected: str) -> None:
    assert url(recorded(settings)) == expected


@pytest.mark.parametrize(
    ("settings", "other"),
    [
        (SPACE, {"onDestroy": "delete"}),
        (S3, {"accessKey": "AKIB", "secretKey": "other", "pathStyle": True}),
    ],
)
def test_what_does_not_lead_elsewhere_may_be_changed(
    settings: dict[str, Any], other: dict[str, Any]
) -> None:
    require_same_place(recorded(settings), recorded(settings | other), None)


@pytest.mark.parametrize(
    ("settings", "other", "fix"),
    [
        (SPACE, {"region": "fra1"}, "pulumi config set --path storage.region nyc3\n"),
        (SPACE, {"namePrefix": "acme"}, "pulumi config set --path storage.namePrefix registry\n"),
        (S3, {"bucket": "other"}, "pulumi config set --path storage.bucket images\n"),
        (S3, {"rootDirectory": ""}, "pulumi config set --path storage.rootDirectory k3s\n"),
        (S3 | {"rootDirectory": ""}, {"rootDirectory": "k3s"},
         "pulumi config rm --path storage.rootDirectory\n"),
        (S3, {"endpoint": "https://minio.example.com", "bucket": "other"},
         "pulumi config set --path storage.bucket images && "
         "pulumi config set --path storage.endpoint https://s3.eu-central-1.amazonaws.com\n"),
    ],
)  # fmt: skip
def test_another_place_is_refused_with_the_command_that_leads_back(
    settings: dict[str, Any], other: dict[str, Any], fix: str
) -> None:
    assert f"fix: {fix}" in refusal(recorded(settings), recorded(settings | other))


def test_a_region_is_another_place_also_where_the_address_of_spaces_does_not_name_it() -> None:
    endpoint = "https://spaces.example.com"
    message = refusal(recorded(SPACE, endpoint), recorded(SPACE | {"region": "fra1"}, endpoint))
    assert "fix: pulumi config set --path storage.region nyc3\n" in message


def test_a_record_that_is_wrong_is_replaced_by_the_fix() -> None:
    with pytest.raises(SettingsError) as error:
        require_same_place(
            recorded(SPACE), recorded(SPACE | {"namePrefix": "acme"}), None, "pulumi up --replace x"
        )
    assert "storage.namePrefix registry && pulumi up --replace x\n" in str(error.value)


def test_another_address_of_spaces_is_another_place() -> None:
    message = refusal(recorded(SPACE), recorded(SPACE, "https://spaces.example.com"))
    assert f"pulumi config set digitalocean:spacesEndpoint '{ENDPOINT}'\n" in message


def test_images_are_moved_to_a_bucket_by_saying_where_they_were_copied_from() -> None:
    old, new = recorded(S3), recorded(S3 | {"bucket": "other"})
    assert f"storage.movedFrom {BUCKET_URL}" in refusal(old, new)
    require_same_place(old, new, moved_from=BUCKET_URL)
    refusal(old, new, moved_from=SPACE_URL)


def test_a_consent_that_was_left_behind_allows_no_other_move() -> None:
    old, new = recorded(S3 | {"bucket": "second"}), recorded(S3 | {"bucket": "third"})
    refusal(old, new, moved_from=BUCKET_URL)


@pytest.mark.parametrize("on_destroy", ["protect", "delete"])
def test_a_space_that_would_be_deleted_is_not_left(on_destroy: str) -> None:
    message = refusal(recorded(SPACE | {"onDestroy": on_destroy}), recorded(S3), SPACE_URL)
    stay, _, move = message.partition("fix: ")[2].partition("\n           and to move them: ")
    assert set(stay.split(" && pulumi config set --path storage.")) == {
        "pulumi config rm storage",
        "kind spaces",
        "region nyc3",
        "namePrefix registry",
        f"onDestroy {on_destroy}",
    }
    assert move.startswith("pulumi config set --path storage.onDestroy retain && pulumi up, then ")


def test_a_space_that_stays_in_the_account_may_be_left() -> None:
    old, new = recorded(SPACE | {"onDestroy": "retain"}), recorded(S3)
    assert "storage.movedFrom 'https://nyc3.digitaloceanspaces.com/registry-*'" in refusal(old, new)
    require_same_place(old, new, moved_from=SPACE_URL)


@pytest.mark.parametrize("old", [S3, SPACE | {"region": "fra1", "onDestroy": "retain"}])
def test_a_new_space_is_never_moved_to(old: dict[str, Any]) -> None:
    message = refusal(recorded(old), recorded(SPACE), moved_from=url(recorded(old)))
    assert "another Space would be empty" in message


def test_each_refusal_says_why_and_how_to_stay_or_to_move(golden: Golden) -> None:
    moves = [
        (recorded(S3), recorded(S3 | {"bucket": "other"})),
        (recorded(SPACE | {"onDestroy": "protect"}), recorded(S3)),
        (recorded(SPACE | {"onDestroy": "retain"}), recorded(S3)),
        (recorded(SPACE), recorded(SPACE | {"region": "fra1"})),
    ]
    golden("place.txt", "\n\n".join(refusal(old, new) for old, new in moves))
