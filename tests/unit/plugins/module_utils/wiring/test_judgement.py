# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

from fanout.wiring.judgement import Judgement, Outcome, Question, judge

NAS, B2 = "forgejo/database/nas", "forgejo/database/b2"


def noted(**changes: Any) -> Outcome:
    return {"acts": ["drill"], "threads": [NAS, B2], "lines": [], "failures": [], "unclaimed": [], **changes}


def judged(outcomes: dict[str, Outcome | None], *, check_mode: bool = False, **question: Any) -> Judgement:
    return judge(outcomes, Question(**{"title": "DRILL", "act": "drill", **question}), check_mode=check_mode)


def test_a_playbook_in_which_all_went_well_says_so_last_and_counts_apps_and_threads() -> None:
    line = ["a line of both"]
    found = judged({"forgejo": noted(lines=line), "gitlab": noted(threads=[], lines=line)})

    assert not found.is_bad
    assert found.table == ("a line of both", "DRILL OK (apps: 2, threads: 2)")
    assert found.failures == ()


def test_whoever_failed_or_got_lost_is_named_and_the_table_has_no_good_word() -> None:
    found = judged({
        "nextcloud": None,
        "forgejo": noted(failures=["forgejo/database/b2: bad"], lines=["a line"]),
        "gitlab": noted(acts=["backup"]),
        "immich": noted(),
    })  # fmt: skip

    assert found.is_bad
    assert found.result == "DRILL FAILED for 3 of 4 apps: forgejo, gitlab, nextcloud"
    assert found.table == ("a line",)
    assert found.failures == (
        "forgejo/database/b2: bad",
        "nextcloud: no result. Remedy: see above what became of it",
        "gitlab: no result. Remedy: see above what became of it",
    )


def test_a_gate_without_a_single_thread_is_closed() -> None:
    assert judged({"forgejo": noted(threads=[])}, strict=True, bad="CLOSED").result == (
        "DRILL CLOSED: there is no thread to look at"
    )
    assert not judged({"forgejo": noted(threads=[])}).is_bad


def test_check_mode_is_no_success_of_what_would_act_and_one_of_what_only_looks() -> None:
    assert judged({"forgejo": noted()}, check_mode=True).result == "DRILL NOT JUDGED: check mode does nothing"
    assert judged({"forgejo": noted()}, check_mode=True, acts=False).result == "DRILL OK (apps: 1, threads: 2)"


def test_a_look_counts_the_threads_that_have_a_problem_and_no_line_of_another_name() -> None:
    lines = [f"STATUS {NAS}: fresh", f"{B2}: 3 h old", f"{B2}: never drilled", f"{NAS}-old: bad"]

    found = judged({"forgejo": noted(lines=lines)}, looks=True, acts=False, title="STATUS")

    assert (found.is_bad, found.result) == (False, "STATUS: 1 of 2 threads have a problem (apps: 1)")


def test_a_column_that_nobody_claims_is_told_once() -> None:
    found = judged({"forgejo": noted(unclaimed=["old"]), "gitlab": noted(unclaimed=["old"])})

    assert found.table[0] == "old: a column that no host of the inventory claims"
    assert len(found.table) == 2
