"""What the models say of the settings: their keys, texts, defaults, and what they take."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Le
from pydantic.fields import FieldInfo

from settings.section import Section, kinds

ANY = "<name>"
"""Stands for the names that a user chooses."""


@dataclasses.dataclass(frozen=True)
class Key:
    """A field of a section.

    Attributes:
        text: What it is, in Markdown; links are relative to the repository.
        default: The default as it is written in the configuration; empty if there is none.
    """

    name: str
    text: str
    default: str
    field: FieldInfo = dataclasses.field(compare=False)

    @property
    def kind(self) -> Any:  # noqa: ANN401 - any annotation
        """What the field holds, without what else is said about it."""
        return bare(self.field.annotation)

    @property
    def named(self) -> bool:
        """Whether it holds values by names that a user chooses."""
        return get_origin(self.kind) is dict

    @property
    def value(self) -> Any:  # noqa: ANN401 - any annotation
        """What the field holds, or holds by name."""
        return bare(get_args(self.kind)[1]) if self.named else self.kind

    @property
    def secret(self) -> bool:
        """Whether it must be encrypted."""
        return not self.field.repr

    @property
    def whole_text(self) -> str:
        """The text, with what follows from the type."""
        several = "Any" if get_origin(self.kind) is list else "One"
        choices = [f"`{choice}`" for choice in choices_of(self.kind)]
        texts = [self.text]
        if not all(choice in self.text for choice in choices):
            texts.append(f"{several} of {', '.join(choices)}.")
        least = next((x.ge for x in self.field.metadata if isinstance(x, Ge)), None)
        most = next((x.le for x in self.field.metadata if isinstance(x, Le)), None)
        if most is not None:
            texts.append(f"From {least} to {most}." if least else f"At most {most}.")
        if self.secret:
            texts.append("Must be set with `--secret`.")
        return " ".join(texts)


def keys(section: type[Section]) -> list[Key]:
    """Return the keys of a section, in the order of its fields."""
    texts = _texts(section)
    return [
        Key(
            str(field.alias),
            texts.get(name) or summary(bare(field.annotation)),
            _default(field),
            field,
        )
        for name, field in section.model_fields.items()
    ]


def _default(field: FieldInfo) -> str:
    default = None if field.is_required() else field.default
    if default is None or isinstance(default, str | Section):
        return default if isinstance(default, str) else ""
    return json.dumps(default)


def summary(section: Any) -> str:  # noqa: ANN401 - any annotation
    """Return the first paragraph of a section's docstring; nothing for what is no section."""
    return _line((inspect.getdoc(section) or "").split("\n\n")[0]) if is_section(section) else ""


def plain(text: str) -> str:
    """Return Markdown as text."""
    return re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text).replace("`", "")


def bare(annotation: Any) -> Any:  # noqa: ANN401 - any annotation
    """Return a type without annotations, and without None."""
    if get_origin(annotation) is Annotated:
        return bare(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        parts = [part for part in get_args(annotation) if part is not type(None)]
        return bare(parts[0]) if len(parts) == 1 else annotation
    return annotation


def is_section(kind: Any) -> bool:  # noqa: ANN401 - any annotation
    """Return whether a type is a section without kinds."""
    return isinstance(kind, type) and issubclass(kind, Section)


def choices_of(kind: Any) -> tuple[str, ...]:  # noqa: ANN401 - any annotation
    """Return the words that a key, or an element of its list, takes; none if it takes others."""
    if get_origin(kind) is list:
        return choices_of(bare(get_args(kind)[0]))
    return get_args(kind) if get_origin(kind) is Literal else ()


def by_kind(key: Key) -> dict[tuple[str, ...], list[Key]]:
    """Return the keys of a section that has kinds, but for that of the kind, by those with it."""
    groups: dict[tuple[str, ...], list[Key]] = {(name,): [] for name in kinds(key.field)}
    inner = {name: keys(section) for name, section in kinds(key.field).items()}
    for name, own in inner.items():
        for each in own:
            same = tuple(other for other, those in inner.items() if each in those)
            if each.name != key.field.discriminator and same[0] == name:
                groups.setdefault(same, []).append(each)
    return groups


def leaves(section: type[Section]) -> Iterator[tuple[str, Key]]:
    """Yield the keys that are no sections, below a section, with their paths."""
    for key in keys(section):
        if is_section(key.value):
            below = f"{key.name}.{ANY}" if key.named else key.name
            yield from ((f"{below}.{path}", leaf) for path, leaf in leaves(key.value))
        else:
            yield key.name, key


@cache
def _texts(section: type[Section]) -> dict[str, str]:
    """Return the docstrings of a section's fields, which Python itself does not keep.

    Pydantic can read them, but would do so in each run of the program, for 50 ms.
    """
    texts: dict[str, str] = {}
    for kind in reversed(section.__mro__):
        if not (issubclass(kind, Section) and kind is not Section):
            continue
        (definition,) = ast.parse(inspect.getsource(kind)).body
        assert isinstance(definition, ast.ClassDef)  # noqa: S101 - for mypy
        for field, text in pairwise(definition.body):
            match field, text:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str(doc))),
                ):
                    texts[name] = _line(doc)
    return texts


def _line(text: str) -> str:
    return " ".join(text.split())
