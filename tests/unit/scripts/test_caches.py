"""What is deleted of caches of other registries, and that nothing else is."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from scripts.maintenance.caches import Limit, held, trim
from scripts.maintenance.clock import DAY
from scripts.maintenance.keys import CACHES
from settings.types import Folder
from tests.unit.scripts.fake_bucket import FakeBucket


def bucket(**ages: float) -> FakeBucket:
    """Return a bucket with objects of ten bytes, by their ages in days."""
    objects = FakeBucket()
    for key, age in ages.items():
        objects.stored[f"{CACHES}docker/{key}"] = b"x" * 10
        objects.modified[f"{CACHES}docker/{key}"] = objects.clock - age * DAY
    return objects


def left(objects: FakeBucket, **limits: Limit) -> list[str]:
    assert trim(objects, limits) == held(objects), "the folder is not listed again"
    return sorted(key.rpartition("/")[2] for key in objects.stored if key.startswith(CACHES))


def test_what_is_older_than_its_days_goes() -> None:
    objects = bucket(new=0, old=3.1, older=9, at_the_limit=3)
    assert left(objects, docker=Limit(3, 1000)) == ["at_the_limit", "new"]


def test_of_what_is_too_much_the_oldest_goes() -> None:
    objects = bucket(first=3, second=2, third=1, fourth=0)
    assert left(objects, docker=Limit(30, 29)) == ["fourth", "third"]
    assert held(objects) == {"docker": 20}


def test_each_cache_has_its_own_limits_and_one_that_is_not_configured_keeps_nothing() -> None:
    objects = bucket(one=1)
    objects.stored |= {f"{CACHES}ghcr/two": b"22", f"{CACHES}gone/three": b"333"}
    assert held(objects) == {"docker": 10, "ghcr": 2, "gone": 3}
    assert left(objects, docker=Limit(30, 10), ghcr=Limit(30, 1)) == ["one"]


def test_nothing_outside_of_the_caches_is_even_looked_at() -> None:
    objects = bucket(old=99)
    others = ["docker/registry/v2/x", "maintenance/x", "cache/docker/x", "!cachex", "k3s/!cache/x"]
    objects.stored |= dict.fromkeys(others, b"image")
    objects.modified |= dict.fromkeys(others, 0.0)
    assert left(objects) == []
    assert sorted(objects.stored) == sorted(others)


@pytest.mark.parametrize(
    "folder", [CACHES, CACHES.rstrip("/"), f"{CACHES}docker", f"k3s/{CACHES}x"]
)
def test_no_images_can_be_in_the_folder_of_a_cache(folder: str) -> None:
    """Another stack may have its images in any folder of the same bucket that settings take."""
    adapter: TypeAdapter[str] = TypeAdapter(Folder)
    assert adapter.validate_python("cache/docker") == "cache/docker"
    with pytest.raises(ValidationError):
        adapter.validate_python(folder)
