# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from fanout.contract.errors import ConfigurationError, NoPermission, Unavailable
from fanout.platforms.base import ThreadResult, joined

NAS = Unavailable("no marker", remedy="mount it", doing="rolling out", subject="forgejo/database/nas")
B2 = NoPermission("refused", remedy="use another key", subject="forgejo/database/b2")


def test_no_error_and_one_error_stay_what_they_are() -> None:
    assert joined([]) is None
    assert joined([NAS]) is NAS


def test_several_errors_become_one_line_that_names_every_thread_its_reason_and_each_remedy_once() -> None:
    both = joined([NAS, B2, B2])

    assert str(both) == (
        "forgejo/database/nas: rolling out: no marker; forgejo/database/b2: refused. Remedy: mount it; use another key"
    )
    assert both is not None
    assert both.code == "unavailable"


def test_a_result_shows_the_last_line_and_its_failure() -> None:
    result = ThreadResult("forgejo/database/b2", 77, ("one", "two"), {"ok": False}, B2).as_result()

    assert (result["ok"], result["line"]) == (False, "two")
    assert result["failure"] == B2.as_result()
    assert ThreadResult("forgejo/database/b2").as_result()["ok"] is True


def test_what_several_threads_say_in_the_same_words_is_said_once() -> None:
    said = joined(
        [
            ConfigurationError(
                "no such image", remedy="correct it", doing="onboarding it", subject="forgejo/database/b2"
            ),
            ConfigurationError(
                "no such claim", remedy="make it", doing="onboarding it", subject="forgejo/database/nas"
            ),
            ConfigurationError(
                "no such image", remedy="correct it", doing="onboarding it", subject="forgejo/database/s3"
            ),
        ]
    )
    assert str(said) == (
        "forgejo/database/b2, forgejo/database/s3: onboarding it: no such image;"
        " forgejo/database/nas: onboarding it: no such claim. Remedy: correct it; make it"
    )
