"""The JSON schema of `Pulumi.<stack>.yaml`, for editors.

Draft 7, which the language server of YAML knows as a whole, with its own `patternErrorMessage` and
`errorMessage`: https://github.com/redhat-developer/yaml-language-server
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Annotated, Any, get_args, get_origin

from annotated_types import Le
from pydantic import TypeAdapter, ValidationError
from pydantic.alias_generators import to_snake

from reference.model import Key, bare, choices_of, is_section, keys, plain, summary
from settings.credentials import CONTENTS, DECIDED_HERE, PROVIDERS, SECRETS, provider_keys
from settings.model import Settings
from settings.section import WORDS, Matching, Section, kinds

Schema = dict[str, Any]

_ENCRYPTED = {
    "type": "object",
    "properties": {"secure": {"type": "string"}},
    "required": ["secure"],
    "additionalProperties": False,
}
"""What `pulumi config set --secret` writes."""

_PLAINTEXT = "A secret: set it with `pulumi config set --secret`, which encrypts it"
_SECRET = _ENCRYPTED | {"errorMessage": _PLAINTEXT}

_OTHERS = {"boolean": (True, False), "integer": (1, 2024, 10**6)}
"""Types, with samples, whose values YAML may hold where text is expected."""


def text() -> str:
    """Return the schema as text."""
    return f"{_lines(document(), '')}\n"


def _lines(node: Any, indent: str) -> str:  # noqa: ANN401 - any JSON
    """Return JSON, each part on one line if that is short."""
    line = json.dumps(node, ensure_ascii=False)
    if len(line) < 100 or not isinstance(node, dict | list):
        return line
    inner = f"{indent} "
    if isinstance(node, list):
        start, end, parts = "[", "]", [_lines(part, inner) for part in node]
    else:
        start, end = "{", "}"
        parts = [f"{json.dumps(name)}: {_lines(part, inner)}" for name, part in node.items()]
    return f"{start}\n{inner}" + f",\n{inner}".join(parts) + f"\n{indent}{end}"


def document() -> Schema:
    """Return the schema of a stack's file.

    What else can be in it: https://pkg.go.dev/github.com/pulumi/pulumi/sdk/v3/go/common/workspace#ProjectStack
    """
    required = [key.name for key in keys(Settings) if key.field.is_required()]
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "The configuration of a stack of this program",
        "$comment": "`make reference` writes this from settings/.",
        "type": ["object", "null"],
        "properties": {
            "secretsprovider": {"type": "string"},
            "encryptedkey": {"type": "string"},
            "encryptionsalt": {"type": "string"},
            "environment": {},
            "config": {"$ref": "#/definitions/config"},
        },
        # An environment may hold what is not in the file.
        "if": {"not": {"required": ["environment"]}},
        "then": {"properties": {"config": {"allOf": [_required(name) for name in required]}}},
        "definitions": {"encrypted": _ENCRYPTED, "config": _config()}
        | {key.name: _key(key, top=True) for key in keys(Settings)},
    }


def _required(name: str) -> Schema:
    """Return the schema of a configuration that has a key, in the project's namespace or none."""
    missing = {"propertyNames": {"not": {"pattern": f"(^|:){name}$"}}}
    return {"if": missing, "then": {"required": [name]}}


def _config() -> Schema:
    """Return the schema of the configuration.

    A key without a namespace is the project's own, whatever that is called:
    https://github.com/pulumi/pulumi/blob/v3.272.0/sdk/go/common/workspace/loaders.go
    """
    own = {key.name: {"$ref": f"#/definitions/{key.name}"} for key in keys(Settings)}
    packages = "|".join([*PROVIDERS, "pulumi"])
    return {
        "type": ["object", "null"],
        "properties": own | dict(_provider_keys()),
        "patternProperties": {"^pulumi:": {}}
        | {f"^(?!({packages}):)[^:]+:{name}$": schema for name, schema in own.items()},
        "additionalProperties": False,
    }


def _provider_keys() -> Iterator[tuple[str, Schema]]:
    types: dict[object, list[str]] = {
        str: ["string", "boolean", "number", "null"],
        bool: ["boolean", "string"],
        int: ["integer", "string"],
        float: ["number", "string"],
    }
    for package in PROVIDERS:
        for name, kind in provider_keys(package).items():
            key = f"{package}:{name}"
            if key in SECRETS:
                yield key, _SECRET
            elif key == "kubernetes:kubeconfig":
                path = {"type": "string", "not": {"pattern": CONTENTS}, "errorMessage": _PLAINTEXT}
                yield key, _or_encrypted(path)
            elif to_snake(name) not in DECIDED_HERE:
                yield key, _or_encrypted({"type": types.get(kind, ["object", "string"])})


def _section(
    section: type[Section], first: tuple[str, str] | None = None, *, optional: bool = False
) -> Schema:
    """Return the schema of an object; empty is one as well, if nothing must be in it.

    Args:
        first: Its key that says which kind it is, and the kind.
        optional: Whether it may be empty in any case.
    """
    tag, kind = first or ("", "")
    own = [key for key in keys(section) if key.name != tag]
    required = [key.name for key in own if key.field.is_required()]
    properties = {key.name: _key(key) for key in own}
    needed: Schema = {"required": required} if required else {}
    if optional and required:
        needed = {"if": {"minProperties": 1}, "then": needed}
    return {
        **(
            {"type": ["object", "null", "string"], "maxLength": 0}
            if optional or not required
            else {"type": "object"}
        ),
        "properties": ({tag: {"enum": [kind]}} if tag else {}) | properties,
        **needed,
        "additionalProperties": False,
    }


def _kinds(key: Key) -> Schema:
    """Return the schema of a section that has kinds; the first one need not be named."""
    tag = str(key.field.discriminator)
    schemas: list[Schema] = []
    for name, section in kinds(key.field).items():
        schema = _section(section, (tag, name))
        if schemas:
            schema |= {"type": "object", "required": [tag, *schema.get("required", [])]}
        else:
            schema["properties"][tag]["enum"].append(None)
        schemas.append({"description": plain(summary(section))} | schema)
    # Editors propose what is outside of `anyOf`.
    choices = {"type": ["string", "null"], "enum": [*kinds(key.field), None]}
    return {"description": plain(key.text), "properties": {tag: choices}, "anyOf": schemas}


def _key(key: Key, *, top: bool = False) -> Schema:
    """Return the schema of a key; null is an empty text for one at the top."""
    description = {"description": plain(key.whole_text)}
    if key.field.discriminator:
        return _kinds(key)
    if key.named:
        return description | _mapping(key)
    if is_section(key.kind):
        return description | _section(key.kind, optional=not key.field.is_required())
    if key.secret:
        return description | _SECRET
    value = _value(key.field.rebuild_annotation())
    if not (key.field.is_required() or key.field.default is None):
        value["default"] = key.field.default
    null = [] if top or key.field.is_required() else [{"type": "null"}]
    return description | _or_encrypted(value, *null)


def _mapping(key: Key) -> Schema:
    """Return the schema of values by names that a user chooses."""
    names, values = get_args(key.kind)
    (name,) = (part for part in _metadata(names) if isinstance(part, Matching))
    # Text that is empty is nothing, too, but for values that are no sections.
    empty = ["string"] if is_section(values) else []
    return {
        "type": ["object", "null", *empty],
        "maxLength": 0,
        "propertyNames": _pattern(name),
        "additionalProperties": _section(values) if is_section(values) else _SECRET,
    }


def _value(annotation: Any) -> Schema:  # noqa: ANN401 - any annotation
    """Return the schema of a value in plaintext."""
    kind = bare(annotation)
    if get_origin(kind) is list:
        return {"type": "array", "items": _or_encrypted(_value(get_args(kind)[0]))}
    if choices := choices_of(kind):
        return {"enum": list(choices)}
    if kind is bool:
        words = "|".join("".join(f"[{x}{x.upper()}]" for x in word) for word in WORDS)
        text = {"pattern": f"^({words})$", "patternErrorMessage": "expected true or false"}
        return {"type": ["boolean", "integer", "string"], "minimum": 0, "maximum": 1, **text}
    metadata = _metadata(annotation)
    if kind is int:
        least = next(number for number in (0, 1) if _takes(annotation, number))
        most = [part.le for part in metadata if isinstance(part, Le)]
        bounds = {"minimum": least} | ({"maximum": most[0]} if most else {})
        text = {"pattern": r"^-?\d+$", "patternErrorMessage": "expected a whole number"}
        return {"type": ["integer", "string"], **bounds, **text}
    types = [name for name, samples in _OTHERS.items() if _takes(annotation, *samples)]
    pattern = next((_pattern(part) for part in metadata if isinstance(part, Matching)), {})
    return {"type": ["string", *types] if types else "string", **pattern}


def _takes(annotation: Any, *samples: object) -> bool:  # noqa: ANN401 - any annotation
    """Return whether a setting takes any of some values."""
    for sample in samples:
        try:
            TypeAdapter(annotation).validate_python(sample)
        except ValidationError:
            continue
        return True
    return False


def _metadata(annotation: Any) -> tuple[Any, ...]:  # noqa: ANN401 - any annotation
    if get_origin(annotation) is Annotated:
        return (*_metadata(get_args(annotation)[0]), *annotation.__metadata__)
    return tuple(x for part in get_args(annotation) for x in _metadata(part))


def _pattern(matching: Matching) -> Schema:
    """Return the schema of text that a validator takes, in the syntax that all languages have."""
    pattern = re.sub(r"\(\?P<\w+>", "(", matching.pattern)
    return {"pattern": f"^(?:{pattern})$", "patternErrorMessage": f"expected {matching.expected}"}


def _or_encrypted(*schemas: Schema) -> Schema:
    return {"anyOf": [*schemas, {"$ref": "#/definitions/encrypted"}]}
