# SPDX-License-Identifier: GPL-3.0-or-later
"""The house: which room may know which. Imports run down, never up and never in a circle."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
LIBRARY = "plugins/module_utils"
# From the ground up: a room may know those below it. Rooms of one floor do not know each other.
FLOORS = (
    ("contract",),
    ("inventory",),
    ("local",),
    ("k8s", "b2", "destinations"),
    ("sources",),
    ("platforms",),
    ("actions",),
    ("longhorn",),
    ("wiring",),
)
# `ansible_collections.fanout.backup` for Ansible, `fanout` where the library is installed.
_PACKAGES = ("ansible_collections/fanout/backup/plugins/module_utils", "fanout")


def imports(path: Path) -> Iterator[PurePosixPath]:
    """Yield, relative to the checkout, the module or package of each import of ours in a file."""
    here = path.relative_to(CHECKOUT).parent
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (_of_ours(alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level:
            base = PurePosixPath(*here.parts[: len(here.parts) - node.level + 1], *(node.module or "").split("."))
            yield from (base / alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            base = _of_ours(node.module)
            yield from (base / alias.name for alias in node.names)


def _of_ours(module: str) -> PurePosixPath:
    path = module.replace(".", "/")
    for package in _PACKAGES:
        if path == package or path.startswith(f"{package}/"):
            return PurePosixPath(LIBRARY, path[len(package) + 1 :])
    return PurePosixPath(path)


def room(path: PurePosixPath) -> str | None:
    """Return the room of the library that a path lies in, if it does."""
    return path.parts[2] if path.is_relative_to(LIBRARY) and len(path.parts) > 2 else None


def test_every_room_of_the_library_stands_on_a_floor() -> None:
    rooms = {path.name for path in (CHECKOUT / LIBRARY).iterdir() if (path / "__init__.py").exists()}

    assert rooms == {name for floor in FLOORS for name in floor}
    assert [path.name for path in (CHECKOUT / LIBRARY).glob("*.py")] == ["__init__.py"]


def test_no_import_of_the_library_runs_up() -> None:
    level = {name: number for number, floor in enumerate(FLOORS) for name in floor}

    up = [
        f"{path.relative_to(CHECKOUT)} imports {target}"
        for path in (CHECKOUT / LIBRARY).rglob("*.py")
        for target in imports(path)
        if (ours := room(PurePosixPath(path.relative_to(CHECKOUT))))
        and (theirs := room(target))
        and ours != theirs
        and level[theirs] >= level[ours]
    ]

    assert up == []


@pytest.mark.parametrize("name", ["platforms", "sources"])
def test_rooms_inside_of_a_room_do_not_know_each_other(name: str) -> None:
    folder = CHECKOUT / LIBRARY / name
    inner = {path.name for path in folder.iterdir() if (path / "__init__.py").exists()}

    known = [
        f"{path.relative_to(CHECKOUT)} imports {target}"
        for each in inner
        for path in (folder / each).rglob("*.py")
        for target in imports(path)
        if target.is_relative_to(f"{LIBRARY}/{name}") and target.parts[3] in inner - {each}
    ]

    assert known == []


def test_the_command_knows_nothing_of_ansible() -> None:
    assert [
        path for path in (CHECKOUT / "runner").rglob("*.py") if any(room(t) == "wiring" for t in imports(path))
    ] == []


def test_no_folder_of_tests_imports_another_but_the_sandbox_and_what_is_for_all() -> None:
    shared = {"sandbox", "support"}

    wrong = [
        f"{path.relative_to(CHECKOUT)} imports {target}"
        for path in (CHECKOUT / "tests").glob("*/**/*.py")
        for target in imports(path)
        if target.parts[:1] == ("tests",) and target.parts[1] != (ours := path.relative_to(CHECKOUT).parts[1])
        if ours in shared or target.parts[1] not in shared
        if (ours, target.parts[1]) != ("support", "sandbox")
    ]

    assert wrong == []
