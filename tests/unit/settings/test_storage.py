"""The keys of an existing bucket, most of which bind each other."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.settings.helpers import GOOD, S3, loaded, problems
from tests.unit.settings.pulumi_config import Secret


def test_an_existing_bucket_needs_endpoint_name_and_key_but_no_token() -> None:
    refused = problems({**GOOD, "storage": {"kind": "s3"}}, {})
    assert [problem.key for problem in refused] == [
        "storage.bucket",
        "storage.endpoint",
        "storage.accessKey",
        "storage.secretKey",
    ]
    assert {problem.value for problem in refused[:-1]} == {"(not set)"}
    assert {problem.expected for problem in refused} == {"expected it to be set"}
    assert refused[0].fix == "pulumi config set --path storage.bucket"
    assert refused[-1].fix == "pulumi config set --path --secret storage.secretKey"


@pytest.mark.parametrize(
    "changed",
    [
        {"bucket": "a.b-c.1"},
        {"bucket": "a" * 63},
        {"bucket": 123},
        {"endpoint": "http://minio.storage.svc:9000"},
        {"endpoint": "https://10.0.0.1:65535"},
        {"endpoint": "http://images.minio:1"},
        {"endpoint": "http://images.images.svc:9000"},
        {"endpoint": "http://images.images.svc.cluster.local"},
        {"endpoint": "https://images.example.com"},
        {"endpoint": "https://ams3.digitaloceanspaces.com", "bucket": "ams3"},
        {"endpoint": "http://localhosts.test:80"},
        {"region": "RegionOne"},
        {"accessKey": 123456},
        {"accessKey": "a.b_c@d:e+f-1"},
        {"secretKey": Secret("'ab\"c#;,=!~'")},
        {"pathStyle": "false"},
        {"pathStyle": False, "bucket": "a.b", "endpoint": "http://s3.test"},
        {"rootDirectory": "a/b.c/.d/..e"},
        {"rootDirectory": 2024},
        {"rootDirectory": "a" * 255},
        {"endpoint": "https://s3.eu-west-1.amazonaws.com", "region": "eu-west-1"},
        {"endpoint": "https://s3.amazonaws.com", "region": "eu-west-1"},
        {"endpoint": "https://nyc3.digitaloceanspaces.com"},
    ],
)
def test_what_an_s3_server_takes_is_taken(changed: dict[str, Any]) -> None:
    settings, _ = loaded({**GOOD, "storage": S3 | changed}, {})
    assert settings.storage.kind == "s3"


EXPECTED = {
    "bucket": ["expected the name of an existing bucket"],
    "endpoint": [
        "expected a URL without bucket and path, such as https://s3.eu-central-1.amazonaws.com",
        "expected the server's URL, without the bucket",
        "expected https: images would cross the internet in plaintext",
    ],
    "region": ["expected a region's name, such as us-east-1"],
    "accessKey": ["expected an access key ID"],
    "rootDirectory": ["expected a path such as images/registry"],
}


@pytest.mark.parametrize(
    ("key", "value", "right"),
    [
        ("bucket", "ab", None),
        ("bucket", "a" * 64, None),
        ("bucket", "a..b", None),
        ("bucket", "a.-b", None),
        ("bucket", "10.0.0.1", None),
        ("bucket", "xn--ab", None),
        ("bucket", "a_b", None),
        ("bucket", "s3://Images/", "images"),
        ("endpoint", "s3.test", "https://s3.test"),
        ("endpoint", "minio.storage.svc:9000", "https://minio.storage.svc:9000"),
        ("endpoint", "https://s3.test/", "https://s3.test"),
        ("endpoint", "http://S3.test./images?x", "http://s3.test"),
        ("endpoint", "https://s3.test#x", "https://s3.test"),
        ("endpoint", "s3://s3.test", "https://s3.test"),
        ("endpoint", "https://key:hunter2@s3.test", "https://s3.test"),
        ("endpoint", "https://s3.test:0", None),
        ("endpoint", "https://s3.test:65536", None),
        ("endpoint", "https://s3_1.test", None),
        ("endpoint", "https://s3..test", None),
        ("endpoint", "http://localhost:9000", None),
        ("endpoint", "http://localhost", None),
        ("endpoint", "http://127.0.0.1:9000", None),
        ("endpoint", "http://0.0.0.0:9000", None),
        ("endpoint", "http://169.254.169.254", None),
        (
            "endpoint",
            "https://images.nyc3.digitaloceanspaces.com",
            "https://nyc3.digitaloceanspaces.com",
        ),
        ("endpoint", "https://images.s3.amazonaws.com", "https://s3.amazonaws.com"),
        ("endpoint", "http://images.s3.svc-1.test:9000", "http://s3.svc-1.test:9000"),
        ("endpoint", "http://nyc3.digitaloceanspaces.com", "https://nyc3.digitaloceanspaces.com"),
        ("endpoint", "http://s3.eu-west-1.amazonaws.com", "https://s3.eu-west-1.amazonaws.com"),
        ("region", "a b", None),
        ("region", " us-east-1", "us-east-1"),
        ("accessKey", "a/b", None),
        ("accessKey", " AKIA\n", "AKIA"),
        ("accessKey", "", None),
        ("rootDirectory", "/a//b/", "a/b"),
        ("rootDirectory", "./a", "a"),
        ("rootDirectory", "..", None),
        ("rootDirectory", "a/../b", None),
        ("rootDirectory", "a b", None),
        ("rootDirectory", "a" * 256, None),
    ],
)
def test_what_an_s3_server_does_not_take_is_refused(
    key: str, value: Any, right: str | None
) -> None:
    (problem,) = problems({**GOOD, "storage": S3 | {key: value}}, {})
    assert problem.key == f"storage.{key}"
    assert problem.expected in EXPECTED[key]
    assert problem.fix == f"pulumi config set --path storage.{key} {right or ''}".rstrip()
    assert "hunter2" not in problem.value


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://s3.eu-west-1.amazonaws.com",
        "https://s3-eu-west-1.amazonaws.com",
        "https://s3.eu-west-1.amazonaws.com:443",
        "https://s3.dualstack.eu-west-1.amazonaws.com",
        "https://s3-fips.eu-west-1.amazonaws.com",
        "https://bucket.vpce-1a2b.s3.eu-west-1.vpce.amazonaws.com",
    ],
)
def test_the_region_is_that_of_amazons_endpoint(endpoint: str) -> None:
    storage = S3 | {"endpoint": endpoint}
    (problem,) = problems({**GOOD, "storage": storage}, {})
    assert problem.key == "storage.region"
    assert problem.expected == "expected the region that is in the endpoint"
    assert problem.fix == "pulumi config set --path storage.region eu-west-1"
    loaded({**GOOD, "storage": storage | {"region": "eu-west-1"}}, {})


def test_the_region_of_amazons_partitions_is_found_too() -> None:
    for region, domain in (("us-gov-west-1", "com"), ("cn-north-1", "com.cn")):
        storage = S3 | {"endpoint": f"https://s3.{region}.amazonaws.{domain}"}
        (problem,) = problems({**GOOD, "storage": storage}, {})
        assert problem.fix.endswith(f" {region}")


def test_a_bucket_with_a_dot_is_not_put_into_a_host_name_that_has_a_certificate() -> None:
    (problem,) = problems({**GOOD, "storage": S3 | {"bucket": "a.b", "pathStyle": False}}, {})
    assert problem.key == "storage.pathStyle"
    assert problem.expected == (
        "expected true: no wildcard certificate is valid for a bucket with a dot"
    )
    assert problem.fix == "pulumi config set --path storage.pathStyle true"


def test_a_bad_bucket_hides_no_other_problem() -> None:
    storage = S3 | {"bucket": "A.", "pathStyle": False, "endpoint": "s3.test", "region": "?"}
    refused = problems({**GOOD, "storage": storage}, {})
    assert [problem.key for problem in refused] == [
        "storage.bucket",
        "storage.endpoint",
        "storage.region",
    ]
    (problem,) = problems({**GOOD, "storage": S3 | {"bucket": "A.", "pathStyle": False}}, {})
    assert problem.key == "storage.bucket"


def test_who_logs_in_with_a_url_is_not_shown() -> None:
    storage = S3 | {"endpoint": "https://key:hunter2@s3.test/x@y"}
    (problem,) = problems({**GOOD, "storage": storage}, {})
    assert problem.value == '"https://...@s3.test/x@y"'


@pytest.mark.parametrize("character", '"#,; \n\té')
def test_a_secret_key_that_the_registry_would_read_otherwise_is_refused(character: str) -> None:
    for secret in (f"{character}hunter2", f"{character}hunter2{character}"):
        (problem,) = problems({**GOOD, "storage": S3 | {"secretKey": Secret(secret)}}, {})
        assert (
            problem.expected == "expected a secret access key, without quotes or spaces around it"
        )
        assert (problem.value, "hunter2" in problem.fix) == ("[secret]", False)
        assert problem.fix == "pulumi config set --path --secret storage.secretKey"


def test_keys_of_an_existing_bucket_without_the_kind_are_checked_all_the_same() -> None:
    storage = {key: value for key, value in S3.items() if key != "kind"} | {"bucket": "A_B"}
    kind, bucket = problems({**GOOD, "storage": storage}, {})
    assert (kind.key, kind.value) == ("storage.kind", "(not set)")
    assert kind.expected == "expected s3, the kind with accessKey, bucket, endpoint, secretKey"
    assert bucket.key == "storage.bucket"
