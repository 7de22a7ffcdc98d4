# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a pod does not start or was ended, from what a cluster says of it."""

from __future__ import annotations

from typing import Any

import pytest

from fanout.contract.errors import ConfigurationError, Full, TryAgain, Unavailable
from fanout.k8s.resources import Manifest
from fanout.platforms.kubernetes import pod_diagnostics
from fanout.platforms.kubernetes.pod_diagnostics import Watched, ended_badly, ended_from_outside, stuck
from tests.support.scripted_cluster import Scripted, cluster, refusal

NAMESPACE = "backup-forgejo"
RESOURCES = {"limits": {"memory": "512Mi"}}
SOON, LONG = 28.0, 1000.0


class Clock:
    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(pod_diagnostics, "time", made)
    return made


def job(*conditions: dict[str, Any]) -> Manifest:
    return named("Job", "run", status={"conditions": list(conditions)})


def holds(kind: str, reason: str = "", message: str = "") -> dict[str, Any]:
    return {"type": kind, "status": "True", "reason": reason, "message": message}


def named(kind: str, name: str, **fields: Any) -> Manifest:
    return {"kind": kind, "metadata": {"name": name, "namespace": NAMESPACE}, **fields}


def pod(name: str = "run-1", created: str = "2026-11-25T10:00:00Z", **status: Any) -> Manifest:
    # A webhook may have put a container of its own before ours.
    containers = [{"name": "injected"}, {"name": "fanout", "resources": RESOURCES}]
    found = named("Pod", name, spec={"containers": containers}, status=status)
    found["metadata"]["creationTimestamp"] = created
    return found


def container(state: str, name: str = "fanout", **fields: Any) -> dict[str, Any]:
    return {"name": name, "state": {state: fields}}


def waiting(reason: str, name: str = "fanout") -> Manifest:
    statuses = [container("waiting", name, reason=reason, message="as the node says")]
    kind = "containerStatuses" if name == "fanout" else "initContainerStatuses"
    return pod(phase="Pending", conditions=[holds("PodScheduled")], **{kind: statuses})


def ended(code: int, reason: str = "Error", **status: Any) -> Manifest:
    return pod(containerStatuses=[container("terminated", exitCode=code, reason=reason)], **status)


def event(reason: str, at: str, message: str = "") -> Manifest:
    said = message or f"of {at}"
    return named("Event", f"{reason}-{at}", type="Warning", reason=reason, message=said, lastTimestamp=at)


def unschedulable(message: str, **spec: Any) -> Manifest:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    found = pod(phase="Pending", conditions=[condition])
    found["spec"] |= spec
    return found


def seen(*objects: Manifest) -> Watched:
    watched = Watched(cluster(Scripted(*objects)), NAMESPACE, "run")
    watched.look()
    return watched


def stuck_after(clock: Clock, seconds: float, *objects: Manifest) -> Any:
    watched = seen(*objects)
    clock.now += seconds
    return stuck(watched)


@pytest.mark.parametrize(
    ("state", "container_name", "words", "remedy"),
    [
        ("ImagePullBackOff", "fanout", "the image of its container fanout cannot be had", "correct app_image"),
        ("ErrImagePull", "server", "the image of its container server cannot be had", "correct app_drill_image"),
        ("InvalidImageName", "fanout", "the image of its container fanout cannot be had", "correct app_image"),
        ("CreateContainerConfigError", "fanout", "its container fanout cannot start", "roll out again"),
        ("CrashLoopBackOff", "server", "its container server cannot start", "app_drill_image needs a shell"),
    ],
)
def test_a_container_that_waits_in_vain_is_named_with_what_to_correct(
    clock: Clock, state: str, container_name: str, words: str, remedy: str
) -> None:
    problem = stuck_after(clock, LONG, job(), waiting(state, container_name))
    assert isinstance(problem, ConfigurationError)
    assert f"{words} ({state}: as the node says)" in problem.problem
    assert problem.remedy.startswith(remedy)


def test_a_container_that_ends_again_and_again_is_told_with_its_last_words(clock: Clock) -> None:
    crashing = waiting("CrashLoopBackOff", "server")
    (server,) = crashing["status"]["initContainerStatuses"]
    server["lastState"] = {"terminated": {"message": "confine: no filter can be set: \033[2Jas it says\n"}}
    problem = stuck_after(clock, LONG, job(), crashing)
    assert problem is not None
    assert "(CrashLoopBackOff: confine: no filter can be set: \\x1b[2Jas it says)" in problem.problem
    assert "seccomp" in problem.remedy


def test_an_image_without_the_program_that_confines_a_server_is_named() -> None:
    failed = container("terminated", "confine", exitCode=1, reason="Error", message="cp: cannot stat confine")
    problem = ended_badly(seen(job(holds("Failed", "BackoffLimitExceeded")), pod(initContainerStatuses=[failed])))
    assert isinstance(problem, ConfigurationError)
    assert "its container confine failed (cp: cannot stat confine)" in problem.problem
    assert "app_image" in problem.remedy


def test_a_claim_that_is_not_bound_has_another_remedy_than_a_node_without_room(clock: Clock) -> None:
    for message, remedy in (
        ("0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims", "bind its claim to a volume"),
        ("0/1 nodes are available: 1 Insufficient cpu", "make room on a node"),
    ):
        assert stuck_after(clock, SOON, job(), unschedulable(message)) is None, "it may go away by itself"
        problem = stuck_after(clock, LONG, job(), unschedulable(message), event("FailedScheduling", "1", message))
        assert isinstance(problem, Unavailable)
        assert problem.problem == f"its pod cannot be scheduled ({message})", "its event says no more"
        assert problem.remedy.startswith(remedy)


@pytest.mark.parametrize(
    ("reason", "message", "remedy"),
    [
        ("ProvisioningFailed", 'storageclass.storage.k8s.io "slow" not found', "make that StorageClass"),
        (
            "FailedBinding",
            "no persistent volumes available for this claim and no storage class is set",
            "make a volume",
        ),
    ],
)
def test_a_claim_that_nobody_will_bind_is_told_soon_with_the_reason_that_its_own_event_gives(
    clock: Clock, reason: str, message: str, remedy: str
) -> None:
    waits = unschedulable(
        "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.",
        volumes=[{"name": "tmp", "emptyDir": {}}, {"name": "copies", "persistentVolumeClaim": {"claimName": "nas"}}],
    )
    problem = stuck_after(clock, SOON, job(), waits, event("Provisioning", "1"), event(reason, "2", message))
    assert isinstance(problem, ConfigurationError)
    assert problem.problem == f"PersistentVolumeClaim {NAMESPACE}/nas is not bound ({message})"
    assert problem.remedy.startswith(remedy)

    mended = stuck_after(clock, SOON, job(), waits, event(reason, "2", message), event("Provisioning", "3"))
    assert mended is None, "the newest event counts"


@pytest.mark.parametrize(
    ("why", "remedy"),
    [
        (
            "0/1 nodes are available: 1 node(s) had untolerated taint(s) {for: databases}. preemption: ...",
            "name the taint",
        ),
        (
            "0/3 nodes are available: 1 node(s) had untolerated taint {a: b}, 2 node(s) didn't match Pod's node"
            " affinity/selector.",
            "correct app_node_selector",
        ),
        ("0/2 nodes are available: 1 Insufficient memory, 1 node(s) had untolerated taint {a: b}.", None),
        ("0/1 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/disk-pressure: }.", None),
    ],
)
def test_a_taint_or_a_label_that_no_node_fits_is_told_soon_and_what_may_change_gets_its_time(
    clock: Clock, why: str, remedy: str | None
) -> None:
    soon = stuck_after(clock, SOON, job(), unschedulable(why))
    assert (soon is None) == (remedy is None)
    late = stuck_after(clock, LONG, job(), unschedulable(why))
    assert late is not None
    assert late.remedy.startswith(remedy or "make room on a node")


def test_a_job_that_makes_no_pod_is_told_with_what_refuses_it(clock: Clock) -> None:
    problem = stuck_after(clock, LONG, job(), event("FailedCreate", "1"))
    assert isinstance(problem, ConfigurationError)
    assert "its Job made no pod; events: FailedCreate: of 1" in problem.problem


FORBIDDEN = 'Error creating: pods "run-{}" is forbidden: {}'
EXCEEDED = "exceeded quota: q, requested: limits.memory=512Mi,pods=1, used: {}, limited: limits.memory=256Mi,pods=2"


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ("failed quota: q: must specify limits.cpu for: fanout", "the namespace's ResourceQuota demands"),
        (EXCEEDED.format("limits.memory=0,pods=0"), "the namespace's ResourceQuota demands"),
        ("maximum memory usage per Container is 128Mi, but limit is 512Mi", "the namespace's LimitRange allows"),
        ('violates PodSecurity "restricted:latest"', "admission refuses"),
    ],
)
def test_what_the_namespace_refuses_for_good_is_told_soon_and_once(clock: Clock, said: str, remedy: str) -> None:
    tries = [event("FailedCreate", str(at), FORBIDDEN.format(f"{at}bcde", said)) for at in (1, 2, 3)]
    problem = stuck_after(clock, SOON, job(), *tries)
    assert isinstance(problem, ConfigurationError)
    assert problem.problem == f"its Job made no pod; events: FailedCreate: {FORBIDDEN.format('3bcde', said)}"
    assert remedy in problem.remedy


def test_a_quota_that_other_pods_take_may_be_given_back(clock: Clock) -> None:
    full = event("FailedCreate", "1", FORBIDDEN.format("abcde", EXCEEDED.format("limits.memory=0,pods=2")))
    assert stuck_after(clock, SOON, job(), full) is None
    assert "app_resources" in stuck_after(clock, LONG, job(), full).remedy


def test_a_secret_that_is_gone_is_told_soon_and_brought_back_by_a_roll_out(clock: Clock) -> None:
    starting = pod(phase="Pending", conditions=[holds("PodScheduled")])
    gone = event("FailedMount", "1", 'MountVolume.SetUp failed for volume "column" : secret "forgejo" not found')
    assert "run fanout.backup.site" in stuck_after(clock, SOON, job(), starting, gone).remedy
    away = event("FailedMount", "1", "mount.nfs: Connection timed out")
    assert stuck_after(clock, SOON, job(), starting, away) is None, "a NAS may wake up"


def test_a_long_text_keeps_its_beginning_and_its_cause(clock: Clock) -> None:
    path = "registry.home.arpa/" + "v2/" * 200
    cause = "dial tcp 192.168.1.7:443: connect: connection refused"
    lost = waiting("ImagePullBackOff")
    (fanout,) = lost["status"]["containerStatuses"]
    fanout["state"]["waiting"]["message"] = 'Back-off pulling image "x"'
    failed = event("Failed", "1", f"Failed to pull image {path}: {cause}")
    problem = stuck_after(clock, LONG, job(), lost, failed, event("BackOff", "2", 'Back-off pulling image "x"'))
    assert problem is not None
    assert "(Failed: Failed to pull image registry.home.arpa/" in problem.problem
    assert problem.problem.endswith(f"{cause})"), "told once"
    assert len(problem.problem) < 400


def test_a_pod_that_does_not_start_is_stuck_only_if_the_cluster_warns_of_something(clock: Clock) -> None:
    slow = pod(phase="Pending", conditions=[holds("PodScheduled")])
    assert stuck_after(clock, LONG, job(), slow) is None, "its image may be large"
    problem = stuck_after(clock, LONG, job(), slow, event("FailedMount", "1"))
    assert "its pod does not start; events: FailedMount: of 1" in problem.problem


def test_what_may_go_away_by_itself_gets_its_time_and_a_new_state_starts_it_anew(clock: Clock) -> None:
    server = Scripted(job(), waiting("ImagePullBackOff"))
    watched = Watched(cluster(server), NAMESPACE, "run")
    watched.look()
    clock.now += 24
    assert stuck(watched) is None
    clock.now += 2
    assert stuck(watched) is not None

    (at,) = (at for at in server.objects if "/pods/" in at)
    server.objects[at] = waiting("CreateContainerError")
    watched.look()
    assert stuck(watched) is None
    clock.now += 21
    assert stuck(watched) is not None


def test_a_run_that_has_started_is_never_stuck(clock: Clock) -> None:
    running = pod(phase="Running", containerStatuses=[container("running")])
    assert stuck_after(clock, LONG, job(), running) is None


def test_who_was_ended_from_outside_is_told_by_whom() -> None:
    deadline = holds("FailureTarget", "DeadlineExceeded", "longer than specified")
    for objects, kind, words in (
        ([job(), pod(phase="Failed", reason="Evicted", message="emptyDir  limit")], Full, "evicted (emptyDir limit)"),
        (
            [job(), pod(phase="Failed", reason="Terminated")],
            TryAgain,
            "its node ended its pod (Terminated: no message)",
        ),
        ([job(), ended(137, "OOMKilled")], TryAgain, "more than its 512Mi of memory (OOMKilled)"),
        ([job(deadline), ended(75)], TryAgain, "its Job was ended at its deadline (longer than specified)"),
        ([job(deadline)], TryAgain, "its Job was ended at its deadline (longer than specified)"),
    ):
        problem = ended_from_outside(seen(*objects))
        assert isinstance(problem, kind), words
        assert words in problem.problem


def test_a_command_that_ended_by_itself_was_ended_by_nobody() -> None:
    backoff = holds("Failed", "BackoffLimitExceeded", "too often")
    for code in (0, 65, 69, 75):
        for state in (job(), job(backoff)):
            watched = seen(state, ended(code))
            assert watched.ended_by_itself
            assert ended_badly(watched) is None


def test_a_silent_end_is_put_into_words() -> None:
    for objects, words in (
        ([job(), ended(137)], "ended by signal 9"),
        ([job(), ended(127)], "the command fanout cannot run in its image (exit code 127)"),
        ([job(), ended(128, "StartError")], "the command fanout cannot run in its image"),
        (
            [job(holds("Failed", "BackoffLimitExceeded", "too often"))],
            "its Job failed (BackoffLimitExceeded: too often)",
        ),
        ([], "its Job was deleted by somebody else"),
    ):
        problem = ended_badly(seen(*objects))
        assert problem is not None
        assert words in problem.problem


def test_a_pod_that_makes_way_is_disrupted_as_long_as_its_job_may_make_another_one() -> None:
    disrupted = {"phase": "Failed", "conditions": [holds("DisruptionTarget", "EvictionByEvictionAPI")]}
    assert seen(job(), ended(75, **disrupted)).is_disrupted
    assert not seen(job(), ended(75, phase="Failed")).is_disrupted
    assert not seen(job(holds("FailureTarget", "DeadlineExceeded")), ended(75, **disrupted)).is_disrupted
    assert not seen(job(), ended(0, **disrupted)).is_disrupted, "it was done before"
    assert not seen(ended(75, **disrupted)).is_disrupted, "nobody makes another one"


def test_a_job_is_over_when_its_last_pod_is_gone_and_not_when_it_says_that_it_will_fail() -> None:
    running = pod(phase="Running", containerStatuses=[container("running")])
    assert not seen(job(holds("FailureTarget")), running).is_over
    assert seen(job(holds("FailureTarget"), holds("Failed")), running).is_over
    assert seen(job(), pod(phase="Failed")).is_over
    assert seen(running).is_over, "somebody deleted the Job"


def test_the_newest_pod_is_the_one_that_counts() -> None:
    retry = pod("run-2", "2026-11-25T10:01:00Z", containerStatuses=[container("running")])
    assert seen(job(), retry, ended(75)).exit_code is None


def test_warnings_are_told_oldest_first_and_each_once() -> None:
    events = [event(reason, at) for at, reason in (("4", "D"), ("1", "A"), ("3", "C"), ("2", "B"))]
    assert seen(job(), pod(), *events, *events[:1]).warnings() == ["A: of 1", "B: of 2", "C: of 3", "D: of 4"]


def test_events_that_may_not_be_read_are_no_reason_to_fail(clock: Clock) -> None:
    server = Scripted(job(), waiting("ImagePullBackOff"))
    server.answers["GET", f"/api/v1/namespaces/{NAMESPACE}/events"] = refusal(403, "cannot list events")
    watched = Watched(cluster(server), NAMESPACE, "run")
    watched.look()
    clock.now += LONG
    problem = stuck(watched)
    assert problem is not None
    assert "events" not in problem.problem
