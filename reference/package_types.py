"""The types of the component's inputs, for programs in other languages."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any, get_args, get_origin

from pydantic.alias_generators import to_snake

from reference.model import Key, bare, is_section, keys, plain, summary
from settings.model import Settings
from settings.section import Section, kinds

_HEAD = '''"""The component's inputs. `make reference` writes this from settings/."""

# Annotations are types here, not text: the host of the component makes its schema of them.
from typing import NotRequired, TypedDict
'''


def module() -> str:
    """Return the module that defines the inputs."""
    elements = [_class(_name(x), summary(x), _inputs(x)) for x in _elements(Settings)]
    text = "The program's settings, each with the default that the README's table shows."
    return "\n\n".join([_HEAD, *elements, _class("PrivateRegistryArgs", text, _inputs(Settings))])


def _elements(section: type[Section]) -> Iterator[type[Section]]:
    """Yield the sections that are there by name, and offered."""
    for key in keys(section):
        if is_section(key.value) and not _holds_secret(key.value):
            yield from [key.value] if key.named else _elements(key.value)


def _inputs(section: type[Section], prefix: str = "") -> dict[str, tuple[str, str]]:
    """Return the types and texts of a section's inputs by name.

    Secrets are left out, with all that is of no use without them: what a component is given is in
    the state as it is. So are kinds where only one is left.
    """
    inputs: dict[str, tuple[str, str]] = {}
    for key in keys(section):
        name = f"{prefix}{to_snake(key.name)}"
        if tag := key.field.discriminator:
            inputs |= _of_kinds(key, str(tag), name)
        elif _holds_secret(key.value):
            continue
        elif is_section(key.kind):
            inputs |= _inputs(key.kind, f"{name}_")
        else:
            kind = _type(key.kind)
            required = key.field.is_required()
            inputs[name] = (kind if required else f"NotRequired[{kind}]", plain(key.whole_text))
    return inputs


def _of_kinds(key: Key, tag: str, prefix: str) -> dict[str, tuple[str, str]]:
    offered = {name: x for name, x in kinds(key.field).items() if not _holds_secret(x)}
    of_each = {name: _inputs(section, f"{prefix}_") for name, section in offered.items()}
    names = dict.fromkeys(name for inputs in of_each.values() for name in inputs)
    if len(offered) == 1:
        return {name: x for name, x in of_each.popitem()[1].items() if name != f"{prefix}_{tag}"}
    merged = {}
    for name in names:
        texts: dict[str, list[str]] = {}
        for kind, inputs in of_each.items():
            if name in inputs:
                texts.setdefault(inputs[name][1], []).append(kind)
        text = " ".join(f"With {tag} {_either(of)}: {text}" for text, of in texts.items())
        merged[name] = ("NotRequired[str]", text)
    choices = " ".join(f"{name}: {summary(section)}" for name, section in offered.items())
    return merged | {f"{prefix}_{tag}": ("NotRequired[str]", plain(f"{key.text} {choices}"))}


def _either(names: list[str]) -> str:
    return " or ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _holds_secret(kind: Any) -> bool:  # noqa: ANN401 - any annotation
    return is_section(kind) and any(key.secret for key in keys(kind))


def _type(kind: Any) -> str:  # noqa: ANN401 - any annotation
    if get_origin(kind) in (list, dict):
        words = [_type(bare(part)) for part in get_args(kind)]
        return f"{get_origin(kind).__name__}[{', '.join(words)}]"
    if is_section(kind):
        return _name(kind)
    return kind.__name__ if kind in (bool, int) else "str"


def _name(section: type[Section]) -> str:
    return f"{section.__name__.removesuffix('Settings')}Args"


def _class(name: str, text: str, inputs: dict[str, tuple[str, str]]) -> str:
    lines = [f"class {name}(TypedDict):", f'    """{text}"""', ""]
    for key, (kind, description) in inputs.items():
        lines.append(f"    {key}: {kind}")
        lines += textwrap.wrap(
            f'"""{description}"""',
            100,
            initial_indent="    ",
            subsequent_indent="    ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    return "".join(f"{line}\n" for line in lines)
