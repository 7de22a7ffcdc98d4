# SPDX-License-Identifier: GPL-3.0-or-later
"""Write what documents the inventory's variables: the roles' meta/argument_specs.yml and docs/variables.md.

    python -m tools.variables [--check]

Both come from inventory/variables.py, where names, types, defaults and meanings stand once, and from the few variables
of tools/given.py.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
import sys
import textwrap
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Union

import yaml

from fanout.contract.codec import encode
from fanout.inventory.variables import LonghornVariables, Secrets, Variables

from .given import ENTRY_POINTS, LONGHORN_ENTRY_POINTS, OF_PLAYBOOKS, EntryPoint, Given

CHECKOUT = Path(__file__).resolve().parent.parent
SPECS = CHECKOUT / "roles/app/meta/argument_specs.yml"
LONGHORN_SPECS = CHECKOUT / "roles/longhorn/meta/argument_specs.yml"
TABLE = CHECKOUT / "docs/variables.md"

_WIDTH = 120
_PLAIN = {
    str: ("str", "string"),
    int: ("int", "whole number"),
    float: ("float", "number"),
    bool: ("bool", "true, false"),
}


def main(arguments: Sequence[str]) -> int:
    """Write both files, or with --check return 1 if one of them is not what would be written."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.variables", description="Document the inventory's variables."
    )
    parser.add_argument("--check", action="store_true", help="write nothing, exit 1 if a file is out of date")
    check = parser.parse_args(arguments).check
    late = [path for path, text in texts().items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in late:
        if check:
            print(f"{path.relative_to(CHECKOUT)} is out of date. Remedy: python -m tools.variables", file=sys.stderr)
        else:
            path.write_text(texts()[path], encoding="utf-8")
    return 1 if check and late else 0


def texts() -> dict[Path, str]:
    """Return what the files have to hold."""
    return {
        SPECS: _specs(ENTRY_POINTS, variable_options()),
        LONGHORN_SPECS: _specs(LONGHORN_ENTRY_POINTS, variable_options((LonghornVariables,))),
        TABLE: _table(),
    }


# The roles' argument_specs


def option_of(wanted: Any) -> dict[str, Any]:
    """Given the type of a variable, return it as an argument spec says it. The contract alone checks records."""
    origin, inner = typing.get_origin(wanted), _arguments(wanted)
    if origin in (Union, types.UnionType):
        return option_of(inner[0])
    if origin is Literal:
        return {"type": "str", "choices": list(inner)}
    if origin is tuple:
        return {"type": "list", "elements": option_of(inner[0])["type"]}
    if origin is dict or dataclasses.is_dataclass(wanted):
        return {"type": "dict"}
    return {"type": _PLAIN[wanted][0]}


def variable_options(records: Sequence[Any] = (Variables, Secrets)) -> dict[str, dict[str, Any]]:
    """Return the options of the contract's variables, as every entry point of a role takes them."""
    options = {}
    for cls in records:
        hints = typing.get_type_hints(cls)
        for field in dataclasses.fields(cls):
            option = {"description": _description(field, hints[field.name]), **option_of(hints[field.name])}
            if field.name == "app_name":
                option["default"] = "{{ inventory_hostname }}"
            elif _is_required(field):
                option["required"] = True
            elif (default := _plain_default(field)) is not None:
                # Shown, and applied by nobody: Ansible sets no variable from a role's argument spec.
                option["default"] = default
            options[field.name] = {**option, "no_log": True} if cls is Secrets else option
    return options


def _description(field: dataclasses.Field[Any], wanted: Any) -> list[str]:
    lines = [field.metadata["meaning"]]
    for record in _records_in([wanted]):
        fields = [f"C({one.name})" for one in dataclasses.fields(record)]
        lines.append(f"Fields of {_title(record)}: {', '.join(fields)}.")
    return lines


def _specs(entry_points: Mapping[str, EntryPoint], variables: Mapping[str, Mapping[str, Any]]) -> str:
    lines = [
        "---",
        "# Written by `python -m tools.variables` from plugins/module_utils/inventory/variables.py.",
        "argument_specs:",
    ]
    shared = entry_points["main"].given
    for name, entry_point in entry_points.items():
        lines += [f"  {name}:", f"    short_description: {entry_point.summary}"]
        lines += [_dumped({"description": list(entry_point.description)}, 4)]
        extra = {one.name: _given_option(one) for one in entry_point.given if one not in shared}
        if name == "main":
            lines += ["    options: &variables"]
            lines += [_dumped({**variables, **{one.name: _given_option(one) for one in shared}}, 6)]
        elif extra:
            lines += ["    options:", "      <<: *variables", _dumped(extra, 6)]
        else:
            lines += ["    options: *variables"]
    return "\n".join(lines) + "\n"


def _given_option(given: Given) -> dict[str, Any]:
    option: dict[str, Any] = {"description": [given.meaning], "type": given.type}
    return {**option, "elements": "str"} if given.type == "list" else option


class _Dumper(yaml.SafeDumper):
    """Indents lists below their key, as the project's YAML does, and never invents an anchor."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002 (always indented)
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 (none)
        return True


def _dumped(options: Mapping[str, Any], indent: int) -> str:
    text: str = yaml.dump(dict(options), Dumper=_Dumper, sort_keys=False, width=_WIDTH - indent)
    return textwrap.indent(text.rstrip("\n"), " " * indent)


# docs/variables.md

_ABOUT = """One inventory host in the group `apps` is one app. Its variables may stand anywhere in the inventory.
Types are taken as they are: `"5432"` is not a number. A misspelt name that begins
with `app_` is refused, with the nearest right one."""
_ABOUT_SERVERS = """Of servers whose volumes are Longhorn's. Set them once, in the group_vars of the server's group:
they must be the same for all apps on it."""


def _table() -> str:
    required = [row for row in _rows(Variables) if not row[2]]
    optional = [row for row in _rows(Variables) if row[2]]
    of_server = [(name, of, default or "required", text) for name, of, default, text in _rows(LonghornVariables)]
    run = dict.fromkeys(one for entry_point in ENTRY_POINTS.values() for one in entry_point.given)
    parts = [
        "<!-- Written by `python -m tools.variables` from plugins/module_utils/inventory/variables.py. -->",
        "# Variables",
        _ABOUT,
        "## What every app needs",
        _rendered(
            ("Variable", "Type", "Meaning"), [(name, type_, meaning) for name, type_, _none, meaning in required]
        ),
        "## What has a default",
        _rendered(("Variable", "Type", "Default", "Meaning"), optional),
        "## What is secret",
        "Keep these in a vault. They travel apart from the others, and no output shows them.",
        _rendered(("Variable", "Type", "Default", "Meaning"), _rows(Secrets)),
        "## What belongs to a server",
        _ABOUT_SERVERS,
        _rendered(("Variable", "Type", "Default", "Meaning"), of_server),
        "## Records",
        *_records(),
        "## For one run",
        "To be given with `-e`. Playbooks and the role's entry points have the same names.",
        _rendered(("Variable", "Type", "Entry point", "Meaning"), [_run_row(one) for one in run]),
        "## For playbooks",
        _rendered(
            ("Variable", "Type", "Meaning"), [(f"`{g.name}`", _spoken_type(g), _code(g.meaning)) for g in OF_PLAYBOOKS]
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _rows(cls: Any) -> list[tuple[str, str, str, str]]:
    """Return name, type, default ("" if it is required, "-" if there is none to show) and meaning of every field."""
    hints = typing.get_type_hints(cls)
    rows = []
    for field in dataclasses.fields(cls):
        default = "" if _is_required(field) else _default(field)
        shown = "`inventory_hostname`" if field.name == "app_name" else f"`{default}`" if default else "-"
        needed = _is_required(field) and field.name != "app_name"
        row = (f"`{field.name}`", _spoken(hints[field.name]), "" if needed else shown, _code(field.metadata["meaning"]))
        rows.append(row)
    return rows


def _records() -> Iterator[str]:
    """Yield a heading, the contract's own words and a table for every record that a variable is made of."""
    records = (Variables, Secrets, LonghornVariables)
    for record in _records_in(hint for cls in records for hint in typing.get_type_hints(cls).values()):
        hints = typing.get_type_hints(record)
        yield f"### {_title(record)[0].upper()}{_title(record)[1:]}"
        yield " ".join((record.__doc__ or "").split())
        rows = [
            (
                f"`{f.name}`",
                _spoken(hints[f.name]),
                "required" if _is_required(f) else f"`{_default(f)}`" if _default(f) else "-",
            )
            for f in dataclasses.fields(record)
        ]
        yield _rendered(("Field", "Type", "Default"), rows)


def _records_in(hints: Any) -> Iterator[Any]:
    """Yield every record in some types once, and after it those that its own fields are made of."""
    yield from dict.fromkeys(_all_records_in(hints))


def _all_records_in(hints: Any) -> Iterator[Any]:
    for hint in hints:
        if dataclasses.is_dataclass(hint):
            yield hint
            yield from _all_records_in(typing.get_type_hints(hint).values())
        else:
            yield from _all_records_in(_arguments(hint))


def _run_row(given: Given) -> tuple[str, str, str, str]:
    users = ", ".join(name for name, entry_point in ENTRY_POINTS.items() if given in entry_point.given)
    return f"`{given.name}`", _spoken_type(given), users, _code(given.meaning)


def _spoken_type(given: Given) -> str:
    return {"list": "list of strings", **dict(_PLAIN.values())}[given.type]


def _spoken(wanted: Any) -> str:
    """Return a type in words."""
    origin, inner = typing.get_origin(wanted), _arguments(wanted)
    if origin in (Union, types.UnionType):
        return " or ".join(_spoken(choice) for choice in inner)
    if origin is Literal:
        return ", ".join(f"`{choice}`" for choice in inner)
    if origin is tuple:
        return f"list of {_plural(inner[0])}"
    if origin is dict:
        return f"mapping of names to {_plural(inner[1])}"
    if dataclasses.is_dataclass(wanted):
        return f"[{_title(wanted)}](#{_title(wanted).lower().replace(' ', '-')})"
    return _PLAIN[wanted][1]


def _plural(wanted: Any) -> str:
    return "strings" if wanted is str else _spoken(wanted)


def _title(record: Any) -> str:
    """Return the name of a record in words: "directory destination", "S3 key"."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", record.__name__).split()
    return " ".join(word if word[-1].isdigit() else word.lower() for word in words)


def _rendered(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _code(text: str) -> str:
    """Ansible's markup as Markdown."""
    return re.sub(r"C\(([^)]*)\)", r"`\1`", text)


# Fields of dataclasses


def _arguments(wanted: Any) -> tuple[Any, ...]:
    """Return what a type is made of, without None and without the ... of a tuple."""
    return tuple(part for part in typing.get_args(wanted) if part not in (type(None), Ellipsis))


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _plain_default(field: dataclasses.Field[Any]) -> Any:
    """Return a field's default as plain data. None: there is none to show, and the meaning says what happens."""
    return encode(field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default)


def _default(field: dataclasses.Field[Any]) -> str:
    """Return a field's default in YAML's flow style, or "" for one that is empty: its meaning says what that does."""
    value = _plain_default(field)
    if value in (None, "", [], {}):
        return ""
    text: str = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=_WIDTH)
    return text.removesuffix("\n").removesuffix("\n...").strip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
