from __future__ import annotations

from typing import Any

import pytest
from pulumi.runtime.proto import provider_pb2

from sandbox.engine.plugins import space, spaces_bucket
from sandbox.engine.plugins.digitalocean_plugin import DEFAULTS
from sandbox.engine.plugins.resource import ProviderError
from sandbox.engine.plugins.resource_plugin import Plugin
from sandbox.engine.plugins.spaces_bucket import SpacesBucket
from sandbox.engine.plugins.wire import Properties, decode, encode
from tests.unit.sandbox.fakes import AbortedError, FakeS3, call

TYPE = SpacesBucket.token("digitalocean")
RULES = [{"id": "parts", "enabled": True, "abortIncompleteMultipartUploadDays": 1}]


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> FakeS3:
    fake = FakeS3()
    monkeypatch.setattr(spaces_bucket, "connect", lambda *_: fake)
    monkeypatch.setattr("time.sleep", lambda _: None)
    return fake


@pytest.fixture
def plugin() -> Plugin:
    return Plugin("digitalocean", [SpacesBucket], dict)


def create(plugin: Plugin, **inputs: object) -> Properties:
    request = provider_pb2.CreateRequest(type=TYPE, properties=encode({"name": "images", **inputs}))
    response = call(plugin.Create, request)
    assert response.id == "images"
    return decode(response.properties)


def update(plugin: Plugin, state: Properties, **inputs: object) -> Properties:
    request = provider_pb2.UpdateRequest(
        type=TYPE, id="images", olds=encode(state), news=encode({"name": "images", **inputs})
    )
    return decode(call(plugin.Update, request).properties)


def read(plugin: Plugin, state: Properties, **inputs: object) -> Any:
    request = provider_pb2.ReadRequest(
        type=TYPE,
        id="images",
        properties=encode(state),
        inputs=encode({"name": "images", **inputs}),
    )
    response = call(plugin.Read, request)
    return response.id and (decode(response.properties), decode(response.inputs))


def delete(plugin: Plugin, state: Properties) -> None:
    request = provider_pb2.DeleteRequest(type=TYPE, id="images", properties=encode(state))
    call(plugin.Delete, request)


def test_a_space_is_private_and_in_new_york_by_default(plugin: Plugin, s3: FakeS3) -> None:
    assert create(plugin) == {
        "name": "images",
        "region": "nyc3",
        "acl": "private",
        "forceDestroy": False,
        "bucketDomainName": "images.nyc3.digitaloceanspaces.com",
        "endpoint": "nyc3.digitaloceanspaces.com",
        "bucketUrn": "do:space:images",
    }
    assert s3.calls[0] == ("create_bucket", {"ACL": "private"})


def test_a_busy_name_is_tried_again(plugin: Plugin, s3: FakeS3) -> None:
    s3.refuses = {"create_bucket": ["OperationAborted"], "head_bucket": ["404"]}
    create(plugin)
    assert [name for name, _ in s3.calls[:4]] == [
        "create_bucket",
        "create_bucket",
        "head_bucket",
        "head_bucket",
    ]


def test_a_taken_name_fails(plugin: Plugin, s3: FakeS3) -> None:
    s3.refuses = {"create_bucket": ["BucketAlreadyExists"]}
    with pytest.raises(AbortedError, match="could not create Space images: BucketAlreadyExists"):
        create(plugin)


def test_settings_are_sent_by_the_names_of_s3(plugin: Plugin, s3: FakeS3) -> None:
    rules = [
        {
            "id": "all",
            "enabled": False,
            "prefix": "a/",
            "expiration": {"days": 3},
            "noncurrentVersionExpiration": {"days": 4},
        },
        *RULES,
    ]
    cors = [{"allowedMethods": ["GET"], "allowedOrigins": ["*"], "maxAgeSeconds": 5}]
    create(plugin, lifecycleRules=rules, corsRules=cors, versioning={"enabled": True})
    sent = dict(s3.calls)
    assert sent["put_bucket_lifecycle_configuration"]["LifecycleConfiguration"]["Rules"] == [
        {
            "ID": "all",
            "Status": "Disabled",
            "Filter": {"Prefix": "a/"},
            "Expiration": {"Days": 3},
            "NoncurrentVersionExpiration": {"NoncurrentDays": 4},
        },
        {
            "ID": "parts",
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
        },
    ]
    assert sent["put_bucket_cors"]["CORSConfiguration"]["CORSRules"] == [
        {"AllowedMethods": ["GET"], "AllowedOrigins": ["*"], "MaxAgeSeconds": 5}
    ]
    assert sent["put_bucket_versioning"] == {"VersioningConfiguration": {"Status": "Enabled"}}


def test_lifecycle_rules_that_the_server_lacks_stay_in_the_state(
    plugin: Plugin, s3: FakeS3
) -> None:
    s3.refuses = {
        "put_bucket_lifecycle_configuration": ["NotImplemented"],
        "get_bucket_lifecycle_configuration": ["NotImplemented"],
    }
    state = create(plugin, lifecycleRules=RULES)
    assert read(plugin, state, lifecycleRules=RULES) == (
        state,
        {"name": "images", "lifecycleRules": RULES},
    ), "a refresh must find nothing to do"


def test_a_refused_setting_leaves_the_space_in_the_state(plugin: Plugin, s3: FakeS3) -> None:
    s3.refuses = {"put_bucket_versioning": ["VersioningNotConfigured"]}
    with pytest.raises(AbortedError, match="could not set the versioning") as caught:
        create(plugin, versioning={"enabled": True}, lifecycleRules=RULES)
    partial = caught.value.partial
    assert partial, "the next up would fail, since the name is taken"
    state = decode(partial.properties)
    assert state["acl"] == "private"
    assert not state.keys() & {"versioning", "lifecycleRules"}, "they are still to be set"
    s3.calls.clear()
    update(plugin, state, lifecycleRules=RULES)
    assert s3.changes == ["put_bucket_lifecycle_configuration"], "the next up does what is missing"


def test_an_update_sends_only_what_changed(plugin: Plugin, s3: FakeS3) -> None:
    state = create(plugin, lifecycleRules=RULES)
    s3.calls.clear()
    new = update(plugin, state, lifecycleRules=RULES, forceDestroy=True)
    assert new["forceDestroy"] is True
    assert s3.changes == []


def test_emptied_settings_are_removed(plugin: Plugin, s3: FakeS3) -> None:
    cors = [{"allowedMethods": ["GET"], "allowedOrigins": ["*"]}]
    state = create(plugin, lifecycleRules=RULES, corsRules=cors, versioning={"enabled": True})
    s3.calls.clear()
    update(plugin, state)
    assert s3.changes == ["delete_bucket_cors", "put_bucket_versioning", "delete_bucket_lifecycle"]
    assert s3.versioning == "Suspended"


@pytest.mark.usefixtures("s3")
def test_a_rename_does_not_move_the_space(plugin: Plugin) -> None:
    with pytest.raises(AbortedError, match="no Space images to update"):
        update(plugin, {"name": "old", "region": "nyc3"})


def test_a_space_deleted_by_hand_is_gone(plugin: Plugin, s3: FakeS3) -> None:
    state = create(plugin)
    s3.exists = False
    assert not read(plugin, state)


def test_a_space_that_may_not_be_read_is_no_lost_one(plugin: Plugin, s3: FakeS3) -> None:
    state = create(plugin)
    s3.refuses = {"head_bucket": ["403"]}
    with pytest.raises(AbortedError, match="could not find Space images: 403"):
        read(plugin, state)


@pytest.mark.usefixtures("s3")
def test_an_unchanged_space_does_not_drift(plugin: Plugin) -> None:
    state = create(plugin, lifecycleRules=RULES)
    assert read(plugin, state, lifecycleRules=RULES) == (
        state,
        {"name": "images", "lifecycleRules": RULES},
    )


def test_a_server_that_does_not_tell_the_region_does_not_move_the_space(
    plugin: Plugin, s3: FakeS3
) -> None:
    state = create(plugin)
    s3.location = None
    assert read(plugin, state)[0] == state, "region drift would replace the Space"


def test_drift_shows_in_state_and_inputs(plugin: Plugin, s3: FakeS3) -> None:
    state = create(plugin, lifecycleRules=RULES)
    s3.location, s3.versioning = "ams3", "Enabled"
    s3.refuses = {"get_bucket_lifecycle_configuration": ["NoSuchLifecycleConfiguration"]}
    state, inputs = read(plugin, state, lifecycleRules=RULES)
    assert inputs == {"name": "images", "region": "ams3", "versioning": {"enabled": True}}
    assert state["endpoint"] == "ams3.digitaloceanspaces.com"
    assert "lifecycleRules" not in state


@pytest.mark.parametrize("versioning", [{}, {"versioning": {"enabled": False}}])
def test_no_versioning_and_versioning_off_are_the_same(
    plugin: Plugin, s3: FakeS3, versioning: dict[str, Any]
) -> None:
    state = create(plugin, **versioning)
    assert "put_bucket_versioning" not in s3.changes
    assert read(plugin, state, **versioning)[1] == {"name": "images", **versioning}


def test_a_full_space_is_not_destroyed(plugin: Plugin, s3: FakeS3) -> None:
    state = create(plugin)
    s3.objects = 1
    with pytest.raises(AbortedError, match="could not delete Space images: BucketNotEmpty"):
        delete(plugin, state)
    assert s3.exists


def test_a_full_space_is_destroyed_by_force(plugin: Plugin, s3: FakeS3) -> None:
    state = create(plugin, forceDestroy=True)
    s3.objects = 2500
    delete(plugin, state)
    assert not s3.exists


def test_objects_that_cannot_be_deleted_are_told(
    plugin: Plugin, s3: FakeS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = create(plugin, forceDestroy=True)
    s3.objects = 1
    kept = {"Errors": [{"Code": "AccessDenied"}]}
    monkeypatch.setattr(s3, "_delete_objects", lambda **_: kept, raising=False)
    with pytest.raises(AbortedError, match="could not empty Space images: AccessDenied"):
        delete(plugin, state)


@pytest.mark.parametrize(("name", "value"), [("region", "mars1"), ("acl", "public-read-write")])
def test_a_wrong_value_is_refused_with_the_right_ones(
    plugin: Plugin, name: str, value: str
) -> None:
    news = encode({"name": "images", name: value})
    (failure,) = call(plugin.Check, provider_pb2.CheckRequest(type=TYPE, news=news)).failures
    assert failure.property == name
    assert failure.reason.startswith("expected one of ")


def test_a_region_may_be_in_upper_case(plugin: Plugin) -> None:
    news = encode({"name": "images", "region": "NYC3"})
    assert not call(plugin.Check, provider_pb2.CheckRequest(type=TYPE, news=news)).failures


def test_a_change_of_region_replaces_the_space(plugin: Plugin) -> None:
    request = provider_pb2.DiffRequest(
        type=TYPE,
        old_inputs=encode({"name": "images"}),
        news=encode({"name": "images", "region": "ams3"}),
    )
    assert list(call(plugin.Diff, request).replaces) == ["region"]


def test_a_client_goes_to_the_endpoint_of_the_region() -> None:
    config = {"spacesAccessId": "id", "spacesSecretKey": "secret"}
    client = space.connect(DEFAULTS | config, "AMS3")
    assert client.meta.endpoint_url == "https://ams3.digitaloceanspaces.com"
    assert client.meta.config.s3["addressing_style"] == "path", "else DNS needs a wildcard"


def test_missing_credentials_are_told() -> None:
    with pytest.raises(ProviderError, match="spacesAccessId and spacesSecretKey"):
        space.connect(DEFAULTS | {"spacesAccessId": "id"}, "nyc3")
