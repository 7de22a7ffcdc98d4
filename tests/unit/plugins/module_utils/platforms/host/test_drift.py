# SPDX-License-Identifier: GPL-3.0-or-later
"""What somebody changed in a column's folder is told, and nothing is written or asked to find it out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fanout.contract import key_file
from fanout.contract.errors import Unavailable
from fanout.inventory.column import Column
from fanout.platforms.host import systemd
from fanout.platforms.host.drift import differences
from fanout.platforms.host.roll_out import present
from fanout.platforms.host.systemd import Systemd
from tests.support.host_columns import B2, PASSWORD, column, directory, tree

from .test_roll_out import MINTED

NAS, B2_THREAD = "forgejo/database/nas", "forgejo/database/b2"
TIMER = "units/fanout-forgejo.database.b2.drill.timer"
SITE = "Remedy: run fanout.backup.site"
Make = Callable[..., Column]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    destinations = {"nas": directory(tmp_path / "nas"), "b2": B2}
    return lambda **more: column(tmp_path / "columns", destinations, **more)


@pytest.fixture
def folder(make: Make) -> Path:
    """A column that is rolled out, with its minted key."""
    given = make()
    present(given, check_mode=False, take_over=False)
    folder = Path(given.folder)
    (folder / "database/b2/key.json").write_text(key_file.render(MINTED))
    (folder / "database/b2/key.json").chmod(0o600)
    return folder


def told(given: Column) -> list[str]:
    return [line for lines in differences(given).values() for line in lines]


def test_a_column_as_it_was_rolled_out_has_no_difference_and_nothing_is_touched(make: Make, folder: Path) -> None:
    before = tree(folder)

    assert told(make()) == []
    assert tree(folder) == before


def test_what_was_never_rolled_out_is_told_once_for_each_thread(make: Make) -> None:
    assert differences(make()) == {
        name: [f"it is not rolled out. {SITE}"] for name in ("forgejo/database/nas", "forgejo/database/b2")
    }


def test_a_destination_that_is_away_is_no_difference_its_own_look_tells(
    make: Make, folder: Path, tmp_path: Path
) -> None:
    shutil.rmtree(tmp_path / "nas")

    assert told(make()) == []


def change_thread(folder: Path) -> None:
    file = folder / "database/nas/thread.json"
    content: dict[str, Any] = json.loads(file.read_text())
    content["source"]["port"] = 1
    file.write_text(json.dumps(content))


def change_password(folder: Path) -> None:
    (folder / "database/password").write_text("another-long-password\n")


@pytest.mark.parametrize(
    ("by_hand", "thread", "line"),
    [
        (change_thread, NAS, "database/nas/thread.json differs: source.port"),
        (lambda folder: (folder / "database/nas/thread.json").unlink(), NAS, "database/nas/thread.json is missing"),
        (
            lambda folder: (folder / "database/nas/thread.json").chmod(0o644),
            NAS,
            "database/nas/thread.json has the mode 0644 instead of 0600",
        ),
        (
            lambda folder: (folder / TIMER).write_text("[Timer]\nOnCalendar=yearly\n"),
            B2_THREAD,
            f"{TIMER} differs",
        ),
        (lambda folder: (folder / "database/b2/key.json").unlink(), B2_THREAD, "database/b2/key.json is missing"),
        (change_password, "", "database/password differs"),
        (lambda folder: (folder / "column.json").unlink(), "", "column.json is missing"),
        (lambda folder: folder.chmod(0o755), "", " has the mode 0755 instead of 0700"),
    ],
)  # fmt: skip
def test_what_was_changed_by_hand_is_named_at_its_thread(
    make: Make, folder: Path, by_hand: Callable[[Path], object], thread: str, line: str
) -> None:
    by_hand(folder)

    found = differences(make())

    path = f"{folder}{line}" if line.startswith(" ") else f"{folder}/{line}"
    assert {name: list(lines) for name, lines in found.items() if lines} == {thread: [f"{path}. {SITE}"]}
    assert PASSWORD not in str(found)


def test_what_the_inventory_changed_and_nobody_rolled_out_is_told(make: Make, folder: Path) -> None:
    lines = told(make(app_period="6h"))

    assert f"{folder}/units/fanout-forgejo.database.nas.timer differs. {SITE}" in lines


def test_a_key_for_another_bucket_is_told(make: Make, folder: Path) -> None:
    text = (folder / "database/b2/key.json").read_text()
    (folder / "database/b2/key.json").write_text(text.replace('"backups"', '"elsewhere"'))

    assert told(make()) == [f"{folder}/database/b2/key.json holds a key for another place. {SITE}"]


class Machine(Systemd):
    """A service manager that says which units it runs."""

    idle = "fanout-forgejo.database.nas.timer"

    def in_use(self, unit: Path) -> bool:
        if unit.name == "fanout-forgejo.database.b2.timer":
            raise Unavailable("systemctl cannot run", remedy="see what systemctl status says")
        return unit.name != self.idle


def test_a_timer_that_does_not_run_or_is_overridden_or_unknown_is_told(
    make: Make, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    override = tmp_path / "system/fanout-forgejo.database.b2.drill.timer.d/override.conf"
    override.parent.mkdir(parents=True)
    override.write_text("[Timer]\nOnCalendar=yearly\n")
    monkeypatch.setattr(systemd, "this_machine", lambda: Machine(tmp_path / "system", ("systemctl",)))

    found = differences(make())

    assert found["forgejo/database/nas"] == [f"fanout-forgejo.database.nas.timer is not enabled and active. {SITE}"]
    assert found["forgejo/database/b2"] == [
        f"{override} changes fanout-forgejo.database.b2.drill.timer. Remedy: remove it: systemctl revert"
        " fanout-forgejo.database.b2.drill.timer",
        "whether fanout-forgejo.database.b2.timer is in use is unknown: systemctl cannot run. Remedy: see what"
        " systemctl status says",
    ]
