# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes columns and their keys, killed: roll-outs and rotations by the modules that `site.yml` calls."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from fanout.contract.key_file import KeyFile, StoredKey, read
from fanout.contract.thread import load
from tests.sandbox import tree
from tests.support.account import Account, App
from tests.support.lab import Lab
from tests.support.modules import call

from .act import Act

_TEMPORARY = ".*.????????"
_IN_FLIGHT = 1.0  # seconds in which a key may still appear that a killed run had asked for


class _Owned(Act):
    """The column of an app with a bucket at the stand-in and a folder, and a module that is killed."""

    module = "b2_application_key"
    options: ClassVar[dict[str, Any]] = {}

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._account = Account(lab.b2)
        self._names = itertools.count()
        self._root = lab.folder / lab.fresh_app()
        self._root.mkdir()
        super().__init__(self._root)
        self._begin()

    def _begin(self) -> None:
        """Take an app that was never rolled out."""
        name = self._lab.fresh_app()
        nas = self._root / f"{name}.nas"
        nas.mkdir()
        self._app = App(self._account, self._root / "columns")
        self._app.path = self._root / "columns" / name / "database/b2/key.json"
        self._app.variables |= {"app_name": name, "app_scratch_directory": str(self._root)}
        self._app.variables["app_destinations"] = {
            **self._app.variables["app_destinations"],
            "nas": {"kind": "directory", "path": str(nas)},
        }

    @property
    def _folder(self) -> Path:
        return self._app.path.parents[2]

    def words(self) -> Sequence[object]:
        arguments = self._root / f"{next(self._names)}.arguments"
        arguments.write_text(json.dumps({"ANSIBLE_MODULE_ARGS": self._arguments(self.module, self.options)}))
        return (self.module, arguments)

    def _arguments(self, module: str, options: dict[str, Any]) -> dict[str, Any]:
        account = self._account.credentials if module.startswith("b2_") else {}
        return {"app": self._app.variables, **account, **options}

    def _call(self, module: str) -> dict[str, Any]:
        result = call(module, **self._arguments(module, {}))
        assert "failed" not in result, result
        return result

    def look(self) -> None:
        readable = [path for path in tree.below(self._folder, "*") if _is_open(path)]
        assert readable == [], "others may read it"
        file = read(self._app.path)
        if file and file.pending:  # what the killed run sent may be on its way
            end = time.monotonic() + _IN_FLIGHT
            while time.monotonic() < end and not any(key == file.pending for key in self._keys()):
                time.sleep(0.02)

    def complete(self) -> None:
        for module in ("b2_application_key", "column"):
            self._call(module)
        for module in ("b2_application_key", "column"):
            again = self._call(module)
            assert again["changed"] is False, again["diff"]
        file = self._app.file()
        assert file.pending is None
        retiring = {key.name for key in file.retiring}
        assert set(self._keys()) == {_name(file), *retiring}, "a stray key is left"
        self._app.age(1_000_000)
        self._call("b2_application_key")
        assert self._keys() == [_name(self._app.file())], "not one key alone works"
        self._account.client.with_key(*_pair(self._app.key())).account()
        assert tree.below(self._folder, _TEMPORARY) == [], "half a file is left"
        for name in ("b2", "nas"):
            load(self._folder / "database" / name / "thread.json")

    def _keys(self) -> list[str]:
        """Return the names of all keys of this app."""
        return [name for name in self._account.names() if name.startswith(f"fanout-{self._app.variables['app_name']}-")]


class KeysOfRollOuts(_Owned):
    """The first roll-out of an app, killed while its key is made."""

    def prepare(self) -> None:
        self._begin()


class ColumnsOfRollOuts(_Owned):
    """The first roll-out of an app, killed while its column is made."""

    module = "column"

    def prepare(self) -> None:
        self._begin()
        self._call("b2_application_key")


class Rotations(_Owned):
    """A rotation of the key of a column that is rolled out."""

    options: ClassVar[dict[str, Any]] = {"rotate": True}

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab)
        self.complete()

    def look(self) -> None:
        super().look()
        self._account.client.with_key(*_pair(self._app.key())).account()


def _name(file: KeyFile) -> str:
    assert file.current
    assert file.current.minted
    return file.current.minted.name


def _pair(key: StoredKey) -> tuple[str, str]:
    return key.key_id, key.secret


def _is_open(path: Path) -> bool:
    """Whether others may read a file of a column. Units are systemd's, and hold no secret."""
    return path.is_file() and path.parent.name != "units" and bool(path.stat().st_mode & 0o77)
