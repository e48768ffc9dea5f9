"""The signing of S3 requests: Amazon's own examples, and Amazon's own client."""

from __future__ import annotations

from pathlib import Path

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from components.registry.config import credentials_file
from scripts.shared.s3 import Bucket, Key, read_key, sign

EXAMPLE = Key("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
HOST = "https://examplebucket.s3.amazonaws.com"


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "signature"),
    [
        (
            "GET", "/test.txt", {"range": "bytes=0-9"}, b"",
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        (
            "PUT", "/test%24file.text",
            {"date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"},
            b"Welcome to Amazon S3.",
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        ),
        (
            "GET", "/?lifecycle=", {}, b"",
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        ),
        (
            "GET", "/?max-keys=2&prefix=J", {}, b"",
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    ],
)  # fmt: skip
def test_the_examples_of_amazons_documentation_are_signed_as_it_says(
    method: str, path: str, headers: dict[str, str], body: bytes, signature: str
) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html"""
    signed = sign(method, HOST + path, headers, body, EXAMPLE, "us-east-1", "20130524T000000Z")
    assert signed["authorization"].endswith(f"Signature={signature}")


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1"])
@pytest.mark.parametrize("path_style", [True, False])
@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("", {"list-type": "2", "max-keys": "1"}),
        ("", {"uploads": "", "prefix": "a b/ü+~"}),
        ("images/reg istry/ü+~=x", {"uploadId": "a/b=c"}),
    ],
)
def test_every_request_is_signed_as_amazons_client_signs_it(
    region: str, path_style: bool, name: str, query: dict[str, str]
) -> None:
    endpoint = f"https://s3.{region}.amazonaws.com"
    url = Bucket(endpoint, region, "images", path_style, EXAMPLE).url(name, query)
    theirs = AWSRequest("PUT", url, {}, b"body")
    S3SigV4Auth(Credentials(EXAMPLE.access, EXAMPLE.secret), "s3", region).add_auth(theirs)
    ours = sign("PUT", url, {}, b"body", EXAMPLE, region, theirs.context["timestamp"])
    assert ours["authorization"] == theirs.headers["Authorization"].replace(", ", ",")


@pytest.mark.parametrize(
    ("path_style", "name", "url"),
    [
        (True, "", "https://s3.eu-central-1.amazonaws.com/images"),
        (True, "a/b c", "https://s3.eu-central-1.amazonaws.com/images/a/b%20c"),
        (False, "", "https://images.s3.eu-central-1.amazonaws.com/"),
        (False, "a/b c", "https://images.s3.eu-central-1.amazonaws.com/a/b%20c"),
    ],
)
def test_a_bucket_is_named_in_the_path_or_in_the_host_name(
    path_style: bool, name: str, url: str
) -> None:
    bucket = Bucket("https://s3.eu-central-1.amazonaws.com", "eu-central-1", "images", path_style,
                    EXAMPLE)  # fmt: skip
    assert bucket.url(name) == url


def test_the_registrys_own_file_of_the_key_is_read(tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    file.write_text(credentials_file("DO00EXAMPLE", "a%(b)s=;#c"))
    assert read_key(file) == Key("DO00EXAMPLE", "a%(b)s=;#c"), "a secret may hold any character"


def test_a_secret_is_not_in_the_representation_of_a_bucket() -> None:
    assert EXAMPLE.secret not in repr(Bucket("http://a", "r", "b", True, EXAMPLE))
