"""The settings in README.md and Pulumi.yaml."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from reference.model import ANY, Key, by_kind, is_section, keys, leaves, plain, summary
from settings.model import Settings
from settings.section import Section, kinds


def table() -> str:
    """Return README's table of all keys; what excludes each other is in groups."""
    rows = ["| key | default | |", "|---|---|---|", *_rows(Settings, "")]
    return "".join(f"{row}\n" for row in rows)


def _rows(section: type[Section], prefix: str) -> Iterator[str]:
    for key in keys(section):
        path = f"{prefix}{key.name}"
        if tag := key.field.discriminator:
            yield f"| **`{path}`** | | **{key.text}** |"
            first, *others = (f"`{kind}`" for kind in kinds(key.field))
            yield f"| `{path}.{tag}` | {first} | Or {', '.join(others)}. |"
            for names, group in by_kind(key).items():
                yield _heading(key, names)
                yield from (_row(f"{path}.{inner.name}", inner) for inner in group)
        elif is_section(key.value):
            below = f"{path}.{ANY}" if key.named else path
            # A section in a section is a part of it.
            if key.named or not prefix:
                yield f"| **`{below}`** | | **{key.text}** |"
            yield from _rows(key.value, f"{below}.")
        else:
            yield _row(path, key)


def _heading(key: Key, names: tuple[str, ...]) -> str:
    """Return the row above the keys of some kinds of a section."""
    sections = kinds(key.field)
    if len(names) == 1:
        return f"| *{key.field.discriminator} `{names[0]}`* | | *{summary(sections[names[0]])}* |"
    others = ", ".join(f"`{name}`" for name in sections if name not in names)
    return f"| *every {key.field.discriminator} but {others}* | | |"


def _row(path: str, key: Key) -> str:
    default = "required " if key.field.is_required() else f"`{key.default}` " if key.default else ""
    return f"| `{path}` | {default}| {key.whole_text} |"


def project_config() -> str:
    """Return the section `config` of Pulumi.yaml."""
    lines = []
    for key in keys(Settings):
        inner = " ".join(_inside(key))
        default = "{}" if inner else key.default or '""'
        lines += [f"  {key.name}:", f"    default: {default}", *_folded(f"{key.text} {inner}", 4)]
    return "".join(f"{line}\n" for line in lines)


def template_config() -> str:
    """Return what `pulumi new` asks for: the keys that must be set."""
    required = [key for key in keys(Settings) if key.field.is_required()]
    lines = [line for key in required for line in (f"    {key.name}:", *_folded(key.text, 6))]
    return "".join(f"{line}\n" for line in lines)


def _inside(key: Key) -> Iterator[str]:
    """Yield sentences that list the keys in a section, with their defaults."""
    tag = str(key.field.discriminator)
    for kind, section in (kinds(key.field) if key.field.discriminator else {}).items():
        inner = [leaf for leaf in leaves(section) if leaf[0] != tag]
        yield f"{tag} {kind}{': ' if inner else ''}{_names(inner)}."
    if is_section(key.value):
        below = f"{ANY}." if key.named else ""
        yield f"Keys: {_names([(below + path, leaf) for path, leaf in leaves(key.value)])}."


def _names(inner: list[tuple[str, Key]]) -> str:
    return ", ".join(f"{path} ({leaf.default})" if leaf.default else path for path, leaf in inner)


def _folded(text: str, indent: int) -> list[str]:
    """Return a description in YAML."""
    space = " " * indent
    lines = textwrap.wrap(plain(text), 110 - indent)
    return [f"{space}description: >-", *(f"{space}  {line}" for line in lines)]


def placed(page: str, begin: str, end: str, content: str) -> str:
    """Return a page with other content between two marks.

    Raises:
        ValueError: If the page has no such marks.
    """
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"expected {begin.strip()} and {end.strip()}")
    return f"{before}{begin}{content}{end}{after}"
