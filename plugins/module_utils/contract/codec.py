# SPDX-License-Identifier: GPL-3.0-or-later
"""Strict reading and writing of records: frozen dataclasses <-> JSON-able mappings.

One codec serves app variables, thread.json, key.json, manifests, evidence and verdicts, so that all of them refuse a
wrong type or a misspelt field in the same words.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Literal, TypeVar, Union

from .errors import BackupError, ConfigurationError, NewerFormat

T = TypeVar("T")

_MOST = 2**63  # what no count, size or number of a server goes beyond; Python itself prints no endless ones
_LONGEST_NAME = 100  # of what may be a slip: to compare endless ones takes memory and time
_NAMES: dict[type, str] = {str: "a string", int: "a whole number", float: "a number", bool: "true or false"}


class Kinds:
    """Base of a record that has one class for each kind of a thing, told apart by the field `kind`.

    `class Source(Kinds)` is such a base, and `class FileSource(Source, kind="file")` one of its kinds: it is read as
    soon as it is defined, so that nobody keeps a list of them."""

    kinds: ClassVar[dict[str, type]]

    def __init_subclass__(cls, kind: str | None = None) -> None:
        super().__init_subclass__()
        if kind is None:
            cls.kinds = {}
        else:
            cls.kinds[kind] = cls


def nearest(name: str, known: Iterable[str]) -> str:
    """Return " (did you mean 'x'?)" for the known name nearest to `name`, or "" if none is near."""
    if len(name) > _LONGEST_NAME:
        return ""
    found = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.5)
    return f" (did you mean '{found[0]}'?)" if found else ""


def decode(cls: type[T], value: object, where: str, *, error: type[BackupError] = ConfigurationError) -> T:
    """Given a mapping, return it as the dataclass `cls`.

    Raise `error`, naming the place as `where.field`, for an unknown or missing field, a value of another type, a number
    beyond all bounds or a text with a NUL. Types are taken as they are: "5" is no number, and true is none either.
    """
    return typing.cast(T, _value(cls, value, where, error))


def decode_json(cls: type[T], text: str | bytes, where: str, *, error: type[BackupError] = ConfigurationError) -> T:
    """Given JSON text, return it as the dataclass `cls`; raise `error` as `decode` does, or when it is no JSON.

    A record with a `FORMAT` that is older than the text's own raises NewerFormat, before anything else is read: it may
    hold fields that this version would call misspelt.
    """
    try:
        value = json.loads(text, parse_constant=_no_number)
        json.dumps(value, ensure_ascii=False).encode()  # half a character cannot be written again
    except ValueError as broken:
        raise error(f"{where} is not JSON ({broken})", remedy=f"restore or re-create {where}") from None
    except RecursionError:
        raise error(f"{where} is nested too deeply", remedy=f"restore or re-create {where}") from None
    newest = getattr(cls, "FORMAT", None)
    number = value.get("format") if isinstance(value, dict) else None
    if newest is not None and isinstance(number, int) and number > newest:
        raise NewerFormat(
            f"{where} has format {number}, and this version reads up to {newest}",
            remedy="update the fanout command on this machine, or roll out again with its version; if no newer version"
            " is in use here, somebody else wrote it: find out who",
        )
    return decode(cls, value, where, error=error)


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is not a number")


def encode(record: object) -> Any:
    """Given a dataclass, return the JSON-able mapping that `decode` reads back. Fields that are None are left out."""
    if dataclasses.is_dataclass(record) and not isinstance(record, type):
        pairs = ((field.name, getattr(record, field.name)) for field in dataclasses.fields(record))
        return {name: encode(value) for name, value in pairs if value is not None}
    if isinstance(record, Mapping):
        return {str(name): encode(value) for name, value in record.items()}
    if isinstance(record, (list, tuple)):
        return [encode(value) for value in record]
    return record


def encode_json(record: object) -> str:
    """Given a dataclass, or a mapping of such, return it as JSON text that diffs well: indented, keys in field order,
    one newline at the end."""
    return json.dumps(encode(record), indent=2, ensure_ascii=False) + "\n"


def _at(where: str, name: object) -> str:
    return f"{where}.{name}" if where else str(name)


def _refuse(error: type[BackupError], where: str, wanted: str, value: object) -> BackupError:
    given = "nothing" if value is None else f"a value of type {type(value).__name__}"
    return error(f"{where} must be {wanted}, not {given}", remedy=f"correct {where}")


def _value(wanted: Any, value: object, where: str, error: type[BackupError]) -> object:
    origin = typing.get_origin(wanted)
    if origin in (Union, types.UnionType):
        choices = [choice for choice in typing.get_args(wanted) if choice is not type(None)]
        if value is None and len(choices) < len(typing.get_args(wanted)):
            return None
        return _one_of(choices, value, where, error)
    if origin is Literal:
        if value not in typing.get_args(wanted) or isinstance(value, bool):
            near = nearest(str(value), [str(choice) for choice in typing.get_args(wanted)])
            choices_text = ", ".join(str(choice) for choice in typing.get_args(wanted))
            raise error(f"{where} must be one of {choices_text}, not {value!r}{near}", remedy=f"correct {where}")
        return value
    if origin in (tuple, dict):
        return _several(wanted, value, where, error)
    if isinstance(wanted, type) and issubclass(wanted, Kinds) and Kinds in wanted.__bases__:
        return _of_kind(wanted.kinds, value, where, error)
    if dataclasses.is_dataclass(wanted):
        return _record(typing.cast(type, wanted), value, where, error)
    return _plain(wanted, value, where, error)


def _several(wanted: Any, value: object, where: str, error: type[BackupError]) -> object:
    if typing.get_origin(wanted) is tuple:
        if not isinstance(value, (list, tuple)):
            raise _refuse(error, where, "a list", value)
        (inner, _ellipsis) = typing.get_args(wanted)
        return tuple(_value(inner, item, f"{where}[{index}]", error) for index, item in enumerate(value))
    if not isinstance(value, Mapping):
        raise _refuse(error, where, "a mapping", value)
    inner = typing.get_args(wanted)[1]
    names = (_plain(str, str(name), where, error) for name in value)
    items = (_value(inner, item, _at(where, name), error) for name, item in value.items())
    return dict(zip(names, items, strict=True))


def _one_of(choices: list[Any], value: object, where: str, error: type[BackupError]) -> object:
    """Records in a union tell themselves apart by a Literal field named `kind`; plain types by what they are."""
    if len(choices) == 1:
        return _value(choices[0], value, where, error)
    if all(dataclasses.is_dataclass(choice) for choice in choices):
        kinds = {typing.get_args(typing.get_type_hints(choice)["kind"])[0]: choice for choice in choices}
        return _of_kind(kinds, value, where, error)
    for choice in choices:
        # Exactly the type: for isinstance a bool would be an int.
        if type(value) is choice:  # pylint: disable=unidiomatic-typecheck
            return _bounded(value, where, error)
    raise _refuse(error, where, " or ".join(_NAMES.get(choice, str(choice)) for choice in choices), value)


def _of_kind(kinds: Mapping[str, type], value: object, where: str, error: type[BackupError]) -> object:
    kind = value.get("kind") if isinstance(value, Mapping) else None
    if not isinstance(kind, str) or kind not in kinds:
        near = nearest(str(kind), kinds)
        raise error(f"{where}.kind must be one of {', '.join(kinds)}, not {kind!r}{near}", remedy=f"correct {where}")
    return _record(kinds[kind], value, where, error)


def _record(cls: type, value: object, where: str, error: type[BackupError]) -> object:
    if not isinstance(value, Mapping):
        raise _refuse(error, where, "a mapping", value)
    hints = typing.get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls)}
    for name in value:
        if name not in fields:
            near = nearest(str(name), fields)
            raise error(f"{where} does not know '{name}'{near}", remedy=f"correct or remove {_at(where, name)}")
    given = {name: _value(hints[name], item, _at(where, name), error) for name, item in value.items()}
    for name, field in fields.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and name not in given:
            raise error(f"{_at(where, name)} is missing", remedy=f"set {_at(where, name)}")
    return cls(**given)


def _plain(wanted: Any, value: object, where: str, error: type[BackupError]) -> object:
    if wanted is Any or wanted is object:
        return value
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        return float(_bounded(value, where, error))
    # Ansible hands strings over as tagged subclasses of str; a bool is an int in Python, but not in an inventory.
    if isinstance(value, wanted) and not (isinstance(value, bool) and wanted is not bool):
        return wanted(_bounded(value, where, error))
    raise _refuse(error, where, _NAMES.get(wanted, str(wanted)), value)


def _bounded(value: T, where: str, error: type[BackupError]) -> T:
    """Return a number that can be reckoned with and printed, a text that a server and a program can take, or anything
    else."""
    if isinstance(value, str) and "\0" in value:
        raise error(f"{where} holds a NUL", remedy=f"correct {where}")
    endless = not math.isfinite(value) if isinstance(value, float) else isinstance(value, int) and abs(value) > _MOST
    if endless:
        raise error(f"{where} is a number out of range", remedy=f"correct {where}")
    return value
