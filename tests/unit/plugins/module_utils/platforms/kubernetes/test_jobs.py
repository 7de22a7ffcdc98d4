# SPDX-License-Identifier: GPL-3.0-or-later
"""A Job that is made now and followed: what is made, what is told of its end, and what stays of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from fanout.contract.errors import Exit
from fanout.k8s.connection import Answer
from fanout.k8s.resources import Manifest
from fanout.platforms.base import ThreadResult
from fanout.platforms.kubernetes import jobs
from fanout.platforms.kubernetes.jobs import Order
from tests.support.kubernetes_columns import column
from tests.support.scripted_cluster import Scripted, answer, cluster, refusal

JOBS = "/apis/batch/v1/namespaces/backup-forgejo/jobs"
PODS = "/api/v1/namespaces/backup-forgejo/pods"
CRON = {"metadata": {"name": "forgejo-database-nas", "uid": "an-id"}}
SPEC = {
    "backoffLimit": 2,
    "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "fanout"}]}},
}
GOOD = '{"ok": true, "exit_code": 0, "rows": 3, NONCE}'
STOPPED = (
    '{"ok": false, "exit_code": 75, "failure": {"subject": "forgejo/database/nas", "doing": "dump",'
    ' "problem": "it was told to stop", "remedy": "none"}, NONCE}'
)
DISRUPTED = {"type": "DisruptionTarget", "status": "True"}
DEADLINE = {"type": "FailureTarget", "status": "True", "reason": "DeadlineExceeded", "message": "too long"}


class Server(Scripted):
    """Shows the next of `pods` each time somebody looks, the last one for ever; `log` is what each of them said."""

    def __init__(self, *pods: Manifest, log: str = "", conditions: tuple[Manifest, ...] = ()) -> None:
        super().__init__()
        self.job: Manifest = {}
        self._pods = list(pods)
        self._log = log
        self._conditions = list(conditions)

    def request(
        self, method: str, where: str, query: Mapping[str, str | None], body: Any = None, content_type: str = ""
    ) -> Answer:
        if method == "POST" and (method, where) not in self.answers:
            self.job = body
            body = {**body, "status": {"conditions": self._conditions}}
        if where == PODS:
            return answer(200, {"items": [self._pods.pop(0) if len(self._pods) > 1 else self._pods[0]]})
        if where.endswith("/log"):
            return Answer(200, None, self._log.replace(", NONCE", f', "nonce": "{self.nonce}"'))
        return super().request(method, where, query, body, content_type)

    @property
    def nonce(self) -> str:
        """What the Job gives its command alone."""
        (command,) = self.job["spec"]["template"]["spec"]["containers"]
        ((value,),) = ([each["value"]] for each in command["env"] if each["name"] == "FANOUT_NONCE")
        return str(value)

    @property
    def is_gone(self) -> bool:
        """Whether the Job was deleted."""
        return any(method == "DELETE" for method, _path in self.writes)


def pod(state: str, name: str = "one", conditions: tuple[Manifest, ...] = (), **fields: Any) -> Manifest:
    return {
        "metadata": {"name": name, "creationTimestamp": "2026-11-25T10:00:00Z"},
        "status": {
            "containerStatuses": [{"name": "fanout", "state": {state: fields}}],
            "conditions": list(conditions),
        },
    }


def ended(code: int, name: str = "one", conditions: tuple[Manifest, ...] = ()) -> Manifest:
    return pod("terminated", name, conditions, exitCode=code, reason="Completed" if code == 0 else "Error")


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time passes only by waiting for it."""

    class Clock:
        now = 0.0

        def monotonic(self) -> float:
            return self.now

        def sleep(self, seconds: float) -> None:
            self.now += seconds

    monkeypatch.setattr(jobs, "time", Clock())


def run(server: Server, *, cron: Manifest | None = None, base: str = "forgejo-database-nas") -> ThreadResult:
    return jobs.run(cluster(server), column(), Order("forgejo/database/nas", base, SPEC, 30, cron))


def test_its_json_line_is_found_among_its_lines_for_people() -> None:
    result = run(Server(pod("running"), ended(0), log=f"copying\n{GOOD}\n\nforgejo/database/nas: OK\n"))
    assert (result.exit_code, result.failure, result.result["rows"]) == (0, None, 3)
    assert result.lines == ("copying", "forgejo/database/nas: OK")


@pytest.mark.parametrize("forged", ['{"ok": true, "exit_code": 0}', '{"ok": true, "exit_code": 0, "nonce": "guessed"}'])
def test_a_line_that_somebody_else_wrote_is_no_result(forged: str) -> None:
    result = run(Server(ended(75), log=f"{forged}\n{STOPPED}\n{forged}\n"))
    assert result.failure is not None
    assert result.failure.problem == "it was told to stop"
    assert run(Server(ended(0), log=f"{GOOD}\n{forged}")).result["rows"] == 3


def test_no_two_jobs_have_the_same_nonce() -> None:
    nonces = set()
    for _ in range(2):
        server = Server(ended(0), log=GOOD)
        run(server)
        nonces.add(server.nonce)
    assert len(nonces) == 2


def test_it_is_one_attempt_and_a_job_of_its_own_goes_away_by_itself_a_day_later() -> None:
    server = Server(ended(0), log=GOOD)
    run(server)
    assert server.job["spec"]["backoffLimit"] == 0
    assert server.job["spec"]["ttlSecondsAfterFinished"] == 86400
    assert "ownerReferences" not in server.job["metadata"]
    assert SPEC["backoffLimit"] == 2, "the CronJob's own is left alone"


def test_a_job_of_a_cron_job_goes_into_its_history_and_stays() -> None:
    server = Server(ended(0), log=GOOD)
    run(server, cron=CRON)
    (owner,) = server.job["metadata"]["ownerReferences"]
    assert (owner["name"], owner["uid"], owner["controller"]) == ("forgejo-database-nas", "an-id", True)
    assert server.job["metadata"]["annotations"] == {"cronjob.kubernetes.io/instantiate": "manual"}
    assert "ttlSecondsAfterFinished" not in server.job["spec"]
    assert not server.is_gone


def test_names_are_never_too_long_and_never_the_same() -> None:
    names = set()
    for _ in range(2):
        server = Server(ended(0), log=GOOD)
        run(server, base="x" * 80)
        names.add(server.job["metadata"]["name"])
    assert len(names) == 2
    assert all(len(name) <= 63 for name in names)


def test_a_look_that_succeeded_leaves_nothing_and_one_that_failed_leaves_its_log() -> None:
    good, bad = Server(ended(0), log=GOOD), Server(ended(69), log="no answer")
    run(good)
    assert good.is_gone
    assert run(bad).failure is not None
    assert not bad.is_gone


def test_a_run_whose_pod_had_to_make_way_is_followed_to_the_next_one() -> None:
    server = Server(
        pod("running"), ended(75, conditions=(DISRUPTED,)), pod("running", "two"), ended(0, "two"), log=GOOD
    )
    result = run(server, cron=CRON)
    assert (result.exit_code, result.failure) == (0, None)
    assert not server.is_gone


def test_a_run_that_was_told_to_stop_at_its_jobs_deadline_says_so() -> None:
    result = run(Server(ended(75), log=STOPPED, conditions=(DEADLINE,)))
    assert result.failure is not None
    assert "its Job was ended at its deadline (too long)" in result.failure.problem
    assert result.exit_code == 75


def test_what_the_command_says_counts_more_than_that_its_job_failed() -> None:
    failed = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}
    result = run(Server(ended(75), log=STOPPED, conditions=(failed,)))
    assert result.failure is not None
    assert result.failure.problem == "it was told to stop"


def test_a_success_is_one_also_if_somebody_deletes_its_job_meanwhile() -> None:
    class Deleted(Server):
        def request(self, method: str, where: str, *rest: Any, **more: Any) -> Answer:
            gone = method == "GET" and where.startswith(JOBS)
            return refusal(404, "not found") if gone else super().request(method, where, *rest, **more)

    result = run(Deleted(ended(0), log=GOOD))
    assert (result.exit_code, result.failure) == (0, None)


def test_a_run_without_an_end_is_given_up_and_removed() -> None:
    server = Server(pod("running"))
    result = run(server, cron=CRON)
    assert result.failure is not None
    assert "did not end within 30 s and was removed" in result.failure.problem
    assert server.is_gone


def test_a_job_that_the_cluster_refuses_is_a_failure_in_its_words_and_nothing_is_removed() -> None:
    server = Server(pod("running"))
    server.answers["POST", JOBS] = refusal(403, "exceeded quota: jobs")
    result = run(server)
    assert result.failure is not None
    assert result.failure.exit_code == Exit.NO_PERMISSION
    assert "exceeded quota: jobs" in result.failure.problem
    assert not server.is_gone


def test_a_job_that_cannot_be_removed_changes_nothing_about_the_result() -> None:
    server = Server(ended(0), log=GOOD)
    run(server)
    (deletion,) = (write for write in server.writes if write[0] == "DELETE")

    class Refusing(Server):
        def request(self, method: str, where: str, *rest: Any, **more: Any) -> Answer:
            return refusal(403, "no") if method == "DELETE" else super().request(method, where, *rest, **more)

    assert deletion[1].startswith(JOBS)
    assert run(Refusing(ended(0), log=GOOD)).failure is None
