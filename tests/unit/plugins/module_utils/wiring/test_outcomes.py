# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from fanout.wiring.outcomes import noted

THREADS = [
    {"thread": "forgejo/database/nas", "line": "forgejo/database/nas: PASS"},
    {"thread": "forgejo/database/b2", "line": "forgejo/database/b2: FAIL"},
    {"thread": "forgejo/database/gone", "line": ""},
]


def test_what_was_noted_before_stays_in_front() -> None:
    before = noted({}, {"threads": THREADS[:1]}, "app/backup", "forgejo")

    both = noted(before, {"threads": THREADS[1:], "unclaimed": ["gitlab"]}, "app/drill", "forgejo")

    assert both == {
        "acts": ["app/backup", "app/drill"],
        "threads": ["forgejo/database/nas", "forgejo/database/b2", "forgejo/database/gone"],
        "lines": ["forgejo/database/nas: PASS", "forgejo/database/b2: FAIL"],
        "failures": [],
        "unclaimed": ["gitlab"],
    }


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("forgejo: rolling out: no image", "forgejo: rolling out: no image"),
        ("forgejo/database/b2: drill: no copy", "forgejo/database/b2: drill: no copy"),
        ("'vault_password' is undefined\n  in group_vars", "forgejo: 'vault_password' is undefined in group_vars"),
        ("forgejo-old: rolling out: no image", "forgejo: forgejo-old: rolling out: no image"),
        (None, "forgejo: no message"),
    ],
)
def test_a_failure_is_one_line_that_begins_with_the_app(message: str | None, line: str) -> None:
    result: dict[str, Any] = {"failed": True} | ({} if message is None else {"msg": message})

    assert noted({}, result, "app/main", "forgejo")["failures"] == [line]


def test_a_failed_act_shows_the_threads_that_went_well() -> None:
    after = noted({}, {"failed": True, "msg": "forgejo/database/b2: FAIL", "threads": THREADS}, "app/backup", "forgejo")

    assert after["lines"] == ["forgejo/database/nas: PASS", "forgejo/database/b2: FAIL"]
    assert after["failures"] == ["forgejo/database/b2: FAIL"]


def test_a_module_that_says_what_failed_has_failed_also_where_its_task_was_told_to_go_on() -> None:
    result = {"failed": False, "failure": {"code": "configuration"}, "msg": "forgejo: no image"}

    after = noted({}, result, "app/main", "forgejo")

    assert after["failures"] == ["forgejo: no image"]
    assert after["lines"] == []


def test_what_failed_earlier_in_the_act_is_told_beside_what_went_well() -> None:
    key = {"failure": {"code": "no_permission"}, "msg": "forgejo: the key is refused"}

    after = noted({}, {"changed": True, "others": [key, {}, {"skipped": True}]}, "app/main", "forgejo")

    assert after["lines"] == ["forgejo: column changed"]
    assert after["failures"] == ["forgejo: the key is refused"]


@pytest.mark.parametrize(("changed", "word"), [(True, "changed"), (False, "unchanged")])
def test_a_roll_out_says_whether_it_changed_the_column_or_the_snapshots_of_the_server(changed: bool, word: str) -> None:
    result = {"changed": changed, "threads": THREADS, "lines": ["never shown"]}

    assert noted({}, result, "app/main", "forgejo")["lines"] == [f"forgejo: column {word}"]
    assert noted({}, result, "longhorn/main", "forgejo", server="shared")["lines"] == [
        f"server shared: snapshots {word}"
    ]


def test_a_roll_out_that_failed_does_not_say_that_nothing_changed() -> None:
    assert noted({}, {"failed": True, "msg": "forgejo: no image"}, "app/main", "forgejo")["lines"] == []


def test_what_check_mode_leaves_out_says_so() -> None:
    skipped = {"skipped": True, "msg": "forgejo: drill: check mode does nothing", "lines": ["no"]}

    assert noted({}, skipped, "app/drill", "forgejo")["lines"] == ["forgejo: drill: check mode does nothing"]


@pytest.mark.parametrize("act", ["ask", "drill", "recovery_check"])
def test_some_acts_show_all_of_their_lines(act: str) -> None:
    after = noted(
        {}, {"lines": ["people: 3", "forgejo/database/nas: PASS"], "threads": THREADS}, f"app/{act}", "forgejo"
    )

    assert after["lines"] == ["people: 3", "forgejo/database/nas: PASS"]
    assert after["threads"] == ["forgejo/database/nas", "forgejo/database/b2", "forgejo/database/gone"]


@pytest.mark.parametrize("act", ["clone", "restore", "revert"])
def test_steps_to_type_stay_together_because_two_of_their_lines_may_be_the_same(act: str) -> None:
    steps = ["CREATE EVENT TRIGGER one", "EXECUTE FUNCTION f();", "CREATE EVENT TRIGGER two", "EXECUTE FUNCTION f();"]

    assert noted({}, {"lines": steps, "threads": THREADS}, f"app/{act}", "forgejo")["lines"] == ["\n".join(steps)]


def test_a_probe_shows_a_line_for_each_thread_and_not_its_steps() -> None:
    after = noted({}, {"lines": ["step 1"], "threads": THREADS}, "app/probe", "forgejo")

    assert after["lines"] == ["forgejo/database/nas: PASS", "forgejo/database/b2: FAIL"]


@pytest.mark.parametrize("strict", [True, False])
def test_problems_are_shown_and_fail_only_where_the_playbook_is_strict(strict: bool) -> None:
    result = {
        "problems": ["forgejo/database/nas: 3 h old"],
        "warnings": ["recovery was never checked"],
        "threads": THREADS[:1],
    }

    after = noted({}, result, "app/info", "forgejo", strict=strict)

    assert after["lines"] == [
        "forgejo/database/nas: PASS",
        "forgejo/database/nas: 3 h old",
        "warning: recovery was never checked",
    ]
    assert after["failures"] == (["forgejo/database/nas: 3 h old"] if strict else [])


def test_warnings_are_lines_only_of_a_look() -> None:
    assert noted({}, {"warnings": ["a policy keeps it out"]}, "app/main", "forgejo")["lines"] == [
        "forgejo: column unchanged"
    ]


def test_what_is_known_of_a_server_names_each_app_on_it() -> None:
    result = {
        "lines": ["snapshot of 09:00"],
        "problems": ["shared: no snapshot today"],
        "warnings": ["an old Longhorn"],
    }

    after = noted({}, result, "longhorn/info", "forgejo", server="shared", strict=True)

    assert after["acts"] == ["longhorn/info"]
    assert after["lines"] == [
        "forgejo: snapshot of 09:00",
        "forgejo: shared: no snapshot today",
        "forgejo: warning: an old Longhorn",
    ]
    assert after["failures"] == ["forgejo: shared: no snapshot today"]
