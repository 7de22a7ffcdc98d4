# SPDX-License-Identifier: GPL-3.0-or-later
"""What a column is told to do now: Jobs like those of its CronJobs, followed to their end."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import json
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ...contract.errors import BackupError, ConfigurationError, Unavailable, about
from ...contract.login import render_login
from ...contract.thread import ThreadName
from ...inventory.column import Column
from ...inventory.kubernetes import DRILL, object_name
from ...k8s.cluster import Cluster, connect
from ...k8s.resources import Manifest, shown_name
from ..base import ThreadResult, not_rolled_out
from ..command_result import judged, marked, said
from ..probe_record import noted
from .ingress import obstacle
from .jobs import Order, run
from .live_objects import Found, id_of
from .objects import BACKUP, COLUMN, labels, namespace, proved_in
from .pods import LENT, LIVE, backup_pod, drill_pod, history_pod, restore_pod
from .threads import job_spec

# What starting a pod may take on top of the run itself: an image that has to be fetched, a node that is busy.
_START = 600
_LOOK = 120

Call = Callable[[Cluster, ThreadName], ThreadResult]


def backup(column: Column, threads: Sequence[ThreadName], accept: Sequence[str]) -> list[ThreadResult]:
    """See Acts.backup."""

    def back_up(cluster: Cluster, thread: ThreadName) -> ThreadResult:
        cron = _cron_job(cluster, column, thread, BACKUP)
        spec = cron["spec"]["jobTemplate"]["spec"]
        spec["template"]["spec"]["containers"][0]["command"] += accept
        return marked(run(cluster, column, _order(thread, BACKUP, spec, cron)))

    return _each(column, "backup", threads, back_up)


def drill(column: Column, threads: Sequence[ThreadName], at: str | None) -> list[ThreadResult]:
    """See Acts.drill. The live database is asked beforehand, once: a drill holds no login."""
    options = ("--at", at) if at else ()
    answers: list[str] = []

    def drill_copy(cluster: Cluster, thread: ThreadName) -> ThreadResult:
        # A destination that is not drilled by itself can be drilled all the same: then no CronJob owns the Job.
        _cron_job(cluster, column, thread, BACKUP)
        cron = cluster.get("CronJob", column.namespace, object_name(thread, DRILL))
        pod = drill_pod(column, thread, options, live=bool(answers))
        spec = job_spec(column, thread, DRILL, pod)
        if answers:
            spec["template"]["metadata"]["annotations"][LIVE] = answers[0]
        return run(cluster, column, _order(thread, DRILL, spec, cron))

    with about(column.app, "drill"):
        sources = [column.source_of(thread) for thread in threads]
        if any(source.needs_server and source.scratch_image is None for source in sources):
            raise ConfigurationError("app_drill_image is missing", remedy="set it to the image of the app's PostgreSQL")
        if any(source.queries for source in sources):
            # Answers that nobody gives are shown as unknown.
            answers.append(json.dumps({"live": ask(column, threads)}))
    return _each(column, "drill", threads, drill_copy)


def ask(column: Column, threads: Sequence[ThreadName]) -> Mapping[str, str]:
    """See Acts.ask."""
    answers: dict[str, str] = {}
    asked: set[str] = set()
    with about(column.app, "asking the live database"):
        cluster = connect(column)
        for thread in threads:  # the files of any thread of a source will do
            if thread.source not in asked and column.source_of(thread).queries:
                ended = _run(cluster, column, thread, ("status", "--ask"), _LOOK)
                if found := ended.result.get("live"):
                    answers |= found
                    asked.add(thread.source)
    return answers


def restore(column: Column, thread: ThreadName, to: str, at: str | None, only: Sequence[str]) -> ThreadResult:
    """See Acts.restore."""
    # With an equals sign: a name may begin with a hyphen.
    options = [f"--to={to}", *((f"--at={at}",) if at else ()), *(f"--only={part}" for part in only)]

    restore_login = column.restore_login(thread)

    def restore_copy(cluster: Cluster, thread: ThreadName) -> ThreadResult:
        with _lent(cluster, column, None if restore_login is None else render_login(restore_login)) as login:
            pod = restore_pod(column, thread, ("restore", *options), login)
            spec = job_spec(column, thread, BACKUP, pod)
            return run(cluster, column, _order(thread, BACKUP, spec))

    (ended,) = _each(column, "restore", [thread], restore_copy)
    return ended


def recover_history(column: Column, thread: ThreadName, key: str | None, check: bool) -> ThreadResult:
    """See Acts.recover_history."""
    options = ("--check",) if check else ()

    def recover(cluster: Cluster, thread: ThreadName) -> ThreadResult:
        with _lent(cluster, column, key) as secret:
            pod = history_pod(column, thread, ("recover-history", *options), secret)
            spec = job_spec(column, thread, BACKUP, pod)
            return run(cluster, column, _order(thread, BACKUP, spec))

    (ended,) = _each(column, "recover-history", [thread], recover)
    return ended


@contextlib.contextmanager
def _lent(cluster: Cluster, column: Column, text: str | None) -> Iterator[str | None]:
    """Yield the name of a Secret that holds `text`, or None for None. What it holds may do more than any thread, so
    that it must not lie there any longer than the act takes."""
    if text is None:
        yield None
        return
    name = f"lent-{secrets.token_hex(5)}"
    manifest: Manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        # The next roll-out takes away what a killed act left.
        "metadata": {"name": name, "namespace": column.namespace, "labels": labels(column)},
        "type": "Opaque",
        "data": {LENT: base64.b64encode(text.encode()).decode()},
    }
    cluster.create(manifest)
    try:
        yield name
    finally:
        cluster.delete("Secret", column.namespace, name)


def probe(column: Column, threads: Sequence[ThreadName], neighbours: Sequence[str], tamper: bool) -> list[ThreadResult]:
    """See Acts.probe."""
    options = [part for neighbour in neighbours for part in ("--neighbour", neighbour)]
    command = ("probe", *options, *(("--tamper",) if tamper else ()))

    def probe_thread(cluster: Cluster, thread: ThreadName) -> ThreadResult:
        _cron_job(cluster, column, thread, BACKUP)
        return judged(_run(cluster, column, thread, command, column.limits.end))

    return _each(column, "probe", threads, probe_thread)


def probe_logins(column: Column) -> list[ThreadResult]:
    """See Acts.probe_logins."""
    firsts = {name.source: name for name in reversed(column.thread_names)}

    def probe_source(cluster: Cluster, thread: ThreadName) -> ThreadResult:
        return judged(_run(cluster, column, thread, ("probe", "--login-only"), _LOOK))

    return _each(column, "probe", list(firsts.values()), probe_source)


def note_proof(column: Column, whole: bool) -> None:
    """See Acts.note_proof."""
    # Only here: what most acts need not compile.
    from .apply import applied
    from .plan import keys_in

    with about(column.app, "noting what was proved"):
        cluster = connect(column)
        live = cluster.get("Namespace", "", column.namespace)
        secrets = {id_of(one): one for one in cluster.list("Secret", column.namespace)}
        if (proved := noted(proved_in(live), keys_in(column, secrets), whole)) is not None:
            force = column.variables.app_force_conflicts
            applied(cluster, live, namespace(column, proved), dry_run=False, force=force)


def info(column: Column) -> list[ThreadResult]:
    """See Acts.info."""

    def look(cluster: Cluster, thread: ThreadName) -> ThreadResult:
        _cron_job(cluster, column, thread, BACKUP)
        return _run(cluster, column, thread, ("status",), _LOOK)

    return _each(column, "status", column.thread_names, look)


def columns(column: Column) -> list[str]:
    """See Acts.columns."""
    with about(column.app, "looking for other columns"):
        # A column that was taken away leaves its namespace and the identity in it, but no CronJob.
        found = connect(column).list("CronJob", "", labels=COLUMN)
    return sorted({cron["metadata"]["labels"][COLUMN] for cron in found})


def _run(cluster: Cluster, column: Column, thread: ThreadName, command: Sequence[str], seconds: int) -> ThreadResult:
    """Run a command with the files of a backup, once."""
    spec = job_spec(column, thread, BACKUP, backup_pod(column, thread, command))
    spec["activeDeadlineSeconds"] = seconds
    return run(cluster, column, _order(thread, BACKUP, spec))


def _order(thread: ThreadName, suffix: str, spec: dict[str, Any], cron: Manifest | None = None) -> Order:
    return Order(str(thread), object_name(thread, suffix), spec, spec["activeDeadlineSeconds"] + _START, cron)


def _cron_job(cluster: Cluster, column: Column, thread: ThreadName, suffix: str) -> Manifest:
    """Return the thread's CronJob. Raise NotRolledOut if it has none."""
    name = object_name(thread, suffix)
    found = cluster.get("CronJob", column.namespace, name)
    if found is None:
        raise not_rolled_out(shown_name("CronJob", column.namespace, name))
    return found


def _explained(cluster: Cluster, column: Column, thread: ThreadName, ended: ThreadResult) -> ThreadResult:
    """Name the policy of the database's side where its server did not answer: to the command in the pod, one that keeps
    it out looks like a server that hangs."""
    failure = ended.failure
    server = column.source_of(thread).server
    if server is None or not isinstance(failure, Unavailable) or f"{server.host}:{server.port}" not in failure.problem:
        return ended
    try:
        live = cluster.get("Namespace", "", column.namespace)
        keeping = obstacle(cluster, column, thread.source, Found({id_of(live): live} if live else {}))
    except BackupError:
        return ended  # it explains, and nothing depends on it
    if keeping is None:
        return ended
    told = Unavailable(
        f"{failure.problem}; {keeping.problem}", remedy=keeping.remedy, doing=failure.doing, subject=failure.subject
    )
    return dataclasses.replace(ended, failure=told)


def _each(column: Column, doing: str, threads: Sequence[ThreadName], call: Call) -> list[ThreadResult]:
    """Do something for each thread, all at once, and return the results in order."""
    with about(column.app, doing):
        cluster = connect(column)

    def ended(thread: ThreadName) -> ThreadResult:
        try:
            with about(str(thread), doing):
                return _explained(cluster, column, thread, call(cluster, thread))
        except BackupError as error:
            return said(str(thread), None, (), {}, error)

    with ThreadPoolExecutor(max(1, len(threads))) as pool:
        return list(pool.map(ended, threads))
