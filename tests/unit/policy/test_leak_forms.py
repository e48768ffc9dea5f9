"""A generated secret is found in each form in which programs write it, and nothing else is."""

from __future__ import annotations

import base64
import random
import string
import urllib.parse
from collections.abc import Callable

import pytest

from policy.leaks import forms, holds, holds_anywhere

SECRET = "p4ss/w+rd?&ü~éöß"
CHOSEN = random.Random(1)  # noqa: S311 - the same texts in each run


def held(text: str, secret: str = SECRET) -> bool:
    return holds({"kind": "ConfigMap", "data": {"a": text}}, [secret])


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_base64_of_a_text_shows_the_secret_in_it_wherever_it_begins_and_ends(
    encode: Callable[[bytes], bytes],
) -> None:
    for length in range(8, 14):
        secret = "".join(
            CHOSEN.choices(string.ascii_letters + string.digits + string.punctuation, k=length)
        )
        for before in range(4):
            for after in range(4):
                text = b"x" * before + secret.encode() + b"y" * after
                once = encode(text).decode()
                assert held(once, secret), (before, after)
                assert held(encode(f"{before * 'x'}{once}".encode()).decode(), secret)


def test_base64_of_another_text_of_its_length_does_not_show_it() -> None:
    for length in range(8, 24):
        secret, other = ("".join(CHOSEN.choices(string.ascii_letters, k=length)) for _ in range(2))
        assert not held(base64.b64encode(other.encode()).decode(), secret)
        assert all(len(form) >= length for form in forms(secret)), (
            "nothing is found by a few digits"
        )


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        SECRET.encode().hex(),
        SECRET.encode().hex().upper(),
        urllib.parse.quote(SECRET, safe=""),
        base64.encodebytes(b"a long text before it, in lines " * 3 + SECRET.encode()).decode(),
    ],
)
def test_each_form_of_it_is_found(form: str) -> None:
    assert held(f"before {form} after")


def test_two_texts_side_by_side_are_not_one() -> None:
    data = {"a": "hunter2", "b": "hunter3"}
    assert not holds({"kind": "ConfigMap", "data": data}, ["hunter2hunter3"])


def test_the_data_of_a_config_map_is_no_base64() -> None:
    twice = base64.b64encode(base64.b64encode(base64.b64encode(b"hunter2hunter2"))).decode()
    assert not holds_anywhere({"kind": "ConfigMap", "data": {"a": twice}}, ["hunter2hunter2"])
    assert holds_anywhere({"kind": "Secret", "data": {"a": twice}}, ["hunter2hunter2"])
