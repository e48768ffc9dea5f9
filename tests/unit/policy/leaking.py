"""Programs made to show a secret, in spite of docs/policies.md."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Iterator

from policy.cloud import KEY
from tests.unit.policy.analyzer import UNKNOWN, urn
from tests.unit.policy.breaches import Breach, Stack, resource, with_container


def named_like_secrets() -> Iterator[Breach]:
    words = (
        *("password", "passwd", "passphrase", "pwd", "htpasswd", "token", "credentials"),
        *("private-key", "secretKey", "access_key", "API_KEY", "client-secret", "clientSecret"),
    )
    for word, before, after in itertools.product(
        words, ("", "db-", "DB_", "a.b/", "x1"), ("", "-1", "2", "_old", ".txt", ".yaml")
    ):
        for spelled in {word, word.upper(), word.capitalize()}:
            name = f"{before}{spelled}{after}"
            yield "ConfigMap", {"data": {"a": "b", name: "c"}}
            yield "ConfigMap", {"binaryData": {name: "Yw=="}}
            yield "Service", {"metadata": {"annotations": {name: "c"}}}
            env = [{"name": "A", "value": "b"}, {"name": name, "value": "c"}]
            yield "Pod", {"spec": next(with_container({"env": env}))}
        yield "ConfigMap", {"data": {f"db{word[0].upper()}{word[1:]}{after}": "camel"}}
    for kind, end in itertools.product(("", "RSA ", "EC ", "OPENSSH "), ("\n", "\r\n", " ")):
        key = f"-----BEGIN {kind}PRIVATE KEY-----{end}MC4="
        yield "ConfigMap", {"data": {"a": "b", "c": f"d {key}"}}
        yield "ConfigMap", {"binaryData": {"a": base64.b64encode(key.encode()).decode()}}
        yield "Secret", {"metadata": {"annotations": {"a": key}}}


def encoded(secret: str) -> Iterator[str]:
    """Yield texts that a secret can be read from."""
    login = base64.b64encode(f"admin:{secret}".encode()).decode()
    docker = json.dumps({"auths": {"a.b": {"username": "a", "password": secret, "auth": login}}})
    hidden = json.dumps({"auths": {"a.b": {"auth": login}}})
    yield from (secret, login, f"Basic {login}", docker, hidden, secret.encode().hex())
    for before, after in itertools.product(range(4), range(4)):
        text = f"{'x' * before}{secret}{'y' * after}"
        yield text
        for encode in (base64.b64encode, base64.urlsafe_b64encode, base64.encodebytes):
            once = encode(text.encode())
            yield once.decode()
            yield base64.b64encode(b"a" * before + once).decode()
    for text in (docker, hidden):
        yield base64.b64encode(text.encode()).decode()


RANDOM = "random:index/randomPassword:RandomPassword"
BOOTSTRAP = "bootstrap-key"
SECRETS = ("Hunter2Hunter2hunter2HUNTER23456", "a+/b==c+/d0123456789++//abcdefgh", "0f" * 16)
"""Passwords, keys and their digits as they are generated."""


def leaks() -> Iterator[Stack]:
    for secret in SECRETS:
        generated = (urn(RANDOM), RANDOM, {"result": secret})
        for text in encoded(secret):
            for kind, outputs in (
                ("ConfigMap", {"data": {"a": text}}),
                ("ConfigMap", {"data": {text: "a"}}),
                ("Secret", {"metadata": {"annotations": {"a": f"b {text} c"}}}),
                ("Secret", {"metadata": {"labels": {text: "a"}}, "data": {"a": UNKNOWN}}),
                ("Pod", {"spec": {"containers": [{"args": ["-p", f"--password={text}"]}]}}),
                ("Ingress", {"status": [{"message": text}]}),
            ):
                yield [generated, resource(kind, outputs)]


def leaked_bootstrap_keys() -> Iterator[Stack]:
    for secret in SECRETS:
        generated = (urn(KEY, BOOTSTRAP), KEY, {"secretKey": secret})
        for text in encoded(secret):
            data = base64.b64encode(text.encode()).decode()
            yield [generated, resource("Secret", {"data": {"a": data}})]
            yield [generated, resource("Secret", {"stringData": {"a": text}})]
            yield [generated, resource("ConfigMap", {"data": {"a": text}})]
