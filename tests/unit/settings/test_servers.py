"""What leads to a server: it is taken as it is meant, or the fix has what is meant."""

from __future__ import annotations

from typing import Any

import pytest

from settings.problems import Problem
from tests.unit.settings.helpers import GOOD, loaded, nested, problems

ADDRESS = "an IPv4 or IPv6 address that clients reach"
EMAIL = "an email address, such as you@example.com"
DIRECTORY = (
    "the URL of an ACME server's directory, such as "
    "https://acme-staging-v02.api.letsencrypt.org/directory"
)
URL = "a URL such as https://ci.example.com/hooks/registry"
CLIENT = {"mode": "letsEncrypt", "email": "a@b.c"}


def only(values: dict[str, Any]) -> Problem:
    (problem,) = problems(GOOD | values)
    return problem


@pytest.mark.parametrize("address", ["203.0.113.10", "10.0.0.1", "2001:db8::10", "fd00::1"])
def test_an_address_is_taken(address: str) -> None:
    assert loaded({**GOOD, "dns": {"addresses": [address]}})[0].dns.addresses == [address]


@pytest.mark.parametrize(
    ("address", "right"),
    [
        ("1.2.3", ""),
        ("registry.example.com", ""),
        ("1.2.3.0/24", ""),
        ("1.2.3.4/32", "1.2.3.4"),
        ("1.2.3.4:443", "1.2.3.4"),
        ("https://1.2.3.4/", "1.2.3.4"),
        (" 1.2.3.4\n", "1.2.3.4"),
        ("[2001:DB8::1]:443", "2001:db8::1"),
        ("2001:db8::1/128", "2001:db8::1"),
        ("2001:db8::1%eth0", ""),
        # What no client reaches.
        *((x, "") for x in ("127.0.0.1", "169.254.1.1", "0.0.0.0", "224.0.0.1")),  # noqa: S104 - refused
        *((x, "") for x in ("::1", "fe80::1", "fe80::1%eth0", "::", "ff02::1", "::ffff:127.0.0.1")),
    ],
)
def test_what_is_no_address_of_the_ingress_controller_is_refused(address: str, right: str) -> None:
    problem = only({"dns": {"addresses": [address]}})
    assert problem.expected == f"expected {ADDRESS}"
    assert problem.fix == f"pulumi config set --path 'dns.addresses[0]' {right}".rstrip()


@pytest.mark.parametrize("email", ["a@b.c", "First.Last+x%y_z-1@mail.example.com"])
def test_an_email_address_is_taken(email: str) -> None:
    tls = loaded({**GOOD, "tls": CLIENT | {"email": email}})[0].tls
    assert tls.mode == "letsEncrypt"
    assert tls.email == email


@pytest.mark.parametrize(
    ("email", "right"),
    [
        *((x, "") for x in ("you", "me@localhost", "me@10.0.0.1", "{a}@b.c", "a b@c.d", "a@b@c.d")),
        ("mailto:me@example.com", "me@example.com"),
        ("Me <me@example.com>", "me@example.com"),
        ("'Me@Example.com' ", "Me@example.com"),
        ("me@example.com\n", "me@example.com"),
    ],
)
def test_another_email_address_is_refused(email: str, right: str) -> None:
    problem = only({"tls": CLIENT | {"email": email}})
    assert (problem.key, problem.expected) == ("tls.email", f"expected {EMAIL}")
    assert problem.fix == f"pulumi config set --path tls.email {right}".rstrip()


def test_lets_encrypt_needs_an_email_address() -> None:
    assert only({"tls": {"mode": "letsEncrypt"}}).key == "tls.email"


@pytest.mark.parametrize(
    "server", ["https://a.b/dir", "https://pebble:14000/dir", "https://a.b/acme/x.y/directory/"]
)
def test_a_directory_is_taken(server: str) -> None:
    tls = loaded({**GOOD, "tls": CLIENT | {"caServer": server}})[0].tls
    assert tls.mode == "letsEncrypt"
    assert tls.ca_server == server


@pytest.mark.parametrize(
    ("server", "right"),
    [
        ("https://acme-v02.api.letsencrypt.org", "https://acme-v02.api.letsencrypt.org/directory"),
        ("https://A.b:14000/", "https://a.b:14000/directory"),
        ("a.b", "https://a.b/directory"),
        ("http://a.b/Dir", "https://a.b/Dir"),
        ("https://a.b//dir", ""),
        ("https://a.b/{env.X}", ""),
        ("https://a.b/dir?x", ""),
        ("staging", "https://staging/directory"),
    ],
)
def test_what_is_no_directory_is_refused(server: str, right: str) -> None:
    problem = only({"tls": CLIENT | {"caServer": server}})
    assert (problem.key, problem.expected) == ("tls.caServer", f"expected {DIRECTORY}")
    assert problem.fix == f"pulumi config set --path tls.caServer {right}".rstrip()


@pytest.mark.parametrize(
    "url",
    [
        "https://ci.example.com",
        "http://ci.svc:8080/Hook/%20?x=1&Y=[2]".replace("[2]", "2"),
        f"https://hooks.example.com/{'t' * 400}",
        f"https://hooks.example.com?{'t' * 400}",
    ],
)
def test_a_url_of_any_length_is_taken(url: str) -> None:
    assert loaded({**GOOD, "webhooks": {"ci": {"url": url}}})[0].webhooks["ci"].url == url


@pytest.mark.parametrize(
    ("url", "right"),
    [
        ("https://CI.example.com/Hook", "https://ci.example.com/Hook"),
        ("HTTP://ci.example.com:80", "http://ci.example.com:80"),
        ("ci.example.com/Hook?A=B", "'https://ci.example.com/Hook?A=B'"),
        ("https://ci.example.com?A=B\n", "'https://ci.example.com?A=B'"),
        ("https://ci.example.com/#part", "https://ci.example.com/"),
        *((x, "") for x in ("ftp://ci.example.com", "http://a b/", "https://ci.example.com:0")),
        ("https://user:password@ci.example.com", ""),
        # What leads to the pod itself, or to its node.
        *((x, "") for x in ("http://localhost/", "LOCALHOST", "http://127.0.0.1:1/")),
        ("http://169.254.169.254/metadata", ""),
    ],
)
def test_another_url_is_refused(url: str, right: str) -> None:
    problem = only({"webhooks": {"ci": {"url": url}}})
    assert (problem.key, problem.expected) == ("webhooks.ci.url", f"expected {URL}")
    assert problem.fix == f"pulumi config set --path webhooks.ci.url {right}".rstrip()


@pytest.mark.parametrize(
    "path", ["users.ci.push", "users.ci.pull", "retention.rules.r.repositories"]
)
def test_a_url_of_a_repository_is_taken_for_the_repository_by_the_fix(path: str) -> None:
    problem = only(nested(path, ["https://registry.example.com/Team//app"]))
    assert problem.fix == f"pulumi config set --path '{path}[0]' team/app"
