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
from ...contract.login import Login, render_login
from ...inventory.column import Column
from ...inventory.kubernetes import DRILL, object_name
from ...k8s.cluster import Cluster, connect
from ...k8s.resources import Manifest, shown_name
from ..base import ThreadResult
from ..command_result import judged, marked, said
from .ingress import obstacle
from .jobs import Order, run
from .live_objects import Found, id_of
from .objects import BACKUP, COLUMN, labels, namespace, proof_in
from .pods import LENT, LIVE, backup_pod, drill_pod, history_pod, restore_pod
from .threads import job_spec

# What starting a pod may take on top of the run itself: an image that has to be fetched, a node that is busy.
_START = 600
_LOOK = 120

Call = Callable[[Cluster, str], ThreadResult]


def backup(column: Column, destinations: Sequence[str], accept: Sequence[str]) -> list[ThreadResult]:
    """See Acts.backup."""

    def one(cluster: Cluster, destination: str) -> ThreadResult:
        cron = _cron_job(cluster, column, destination, BACKUP)
        spec = cron["spec"]["jobTemplate"]["spec"]
        spec["template"]["spec"]["containers"][0]["command"] += accept
        return marked(run(cluster, column, _order(column, destination, BACKUP, spec, cron)))

    return _each(column, "backup", destinations, one)


def drill(column: Column, destinations: Sequence[str], at: str | None) -> list[ThreadResult]:
    """See Acts.drill. The live database is asked beforehand, once: a drill holds no login."""
    options = ("--at", at) if at else ()
    answers: list[str] = []

    def one(cluster: Cluster, destination: str) -> ThreadResult:
        # A destination that is not drilled by itself can be drilled all the same: then no CronJob owns the Job.
        _cron_job(cluster, column, destination, BACKUP)
        cron = cluster.get("CronJob", column.namespace, object_name(column.app, destination, DRILL))
        pod = drill_pod(column, destination, options, live=bool(answers))
        spec = job_spec(column, destination, DRILL, pod)
        if answers:
            spec["template"]["metadata"]["annotations"][LIVE] = answers[0]
        return run(cluster, column, _order(column, destination, DRILL, spec, cron))

    with about(column.app, "drill"):
        if column.variables.app_drill_image is None:
            raise ConfigurationError("app_drill_image is missing", remedy="set it to the image of the app's PostgreSQL")
        if column.variables.app_drill_queries:
            # Answers that nobody gives are shown as unknown.
            answers.append(json.dumps({"live": ask(column, destinations)}))
    return _each(column, "drill", destinations, one)


def ask(column: Column, destinations: Sequence[str]) -> Mapping[str, str]:
    """See Acts.ask."""
    with about(column.app, "asking the live database"):
        cluster = connect(column)
        for destination in destinations:  # the files of any thread will do
            ended = _run(cluster, column, destination, ("status", "--ask"), _LOOK)
            if "live" in ended.result:
                found: Mapping[str, str] = ended.result["live"]
                return found
    return {}


def restore(column: Column, destination: str, to: str, at: str | None, tables: Sequence[str]) -> ThreadResult:
    """See Acts.restore."""
    # With an equals sign: a name may begin with a hyphen.
    options = [f"--to={to}", *((f"--at={at}",) if at else ()), *(f"--table={table}" for table in tables)]

    def one(cluster: Cluster, destination: str) -> ThreadResult:
        with _lent(cluster, column, _restore_login(column)) as login:
            pod = restore_pod(column, destination, ("restore", *options), login)
            spec = job_spec(column, destination, BACKUP, pod)
            return run(cluster, column, _order(column, destination, BACKUP, spec))

    (ended,) = _each(column, "restore", [destination], one)
    return ended


def _restore_login(column: Column) -> str | None:
    """Return the text of the login that restores, or None if that is the one of backups."""
    user, password = column.variables.app_restore_user, column.secrets.app_restore_password
    if user is None and password is None:
        return None
    return render_login(Login(user or column.sources[0].user, password))


def recover_history(column: Column, destination: str, key: str | None, check: bool) -> ThreadResult:
    """See Acts.recover_history."""
    options = ("--check",) if check else ()

    def one(cluster: Cluster, destination: str) -> ThreadResult:
        with _lent(cluster, column, key) as secret:
            pod = history_pod(column, destination, ("recover-history", *options), secret)
            spec = job_spec(column, destination, BACKUP, pod)
            return run(cluster, column, _order(column, destination, BACKUP, spec))

    (ended,) = _each(column, "recover-history", [destination], one)
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


def probe(column: Column, destinations: Sequence[str], neighbours: Sequence[str], tamper: bool) -> list[ThreadResult]:
    """See Acts.probe."""
    options = [part for neighbour in neighbours for part in ("--neighbour", neighbour)]
    command = ("probe", *options, *(("--tamper",) if tamper else ()))

    def one(cluster: Cluster, destination: str) -> ThreadResult:
        _cron_job(cluster, column, destination, BACKUP)
        return judged(_run(cluster, column, destination, command, column.limits.end))

    return _each(column, "probe", destinations, one)


def probe_login(column: Column) -> list[ThreadResult]:
    """See Acts.probe_login."""

    def one(cluster: Cluster, destination: str) -> ThreadResult:
        return judged(_run(cluster, column, destination, ("probe", "--login-only"), _LOOK))

    return _each(column, "probe", list(column.destinations)[:1], one)


def note_proof(column: Column, whole: bool) -> None:
    """See Acts.note_proof."""
    # Only here: what most acts need not compile.
    from .apply import applied

    with about(column.app, "noting what was proved"):
        cluster = connect(column)
        live = cluster.get("Namespace", "", column.namespace)
        if (earlier := proof_in(live)) != "all" and (whole or earlier == "keys"):
            force = column.variables.app_force_conflicts
            applied(cluster, live, namespace(column, "all"), dry_run=False, force=force)


def info(column: Column) -> list[ThreadResult]:
    """See Acts.info."""

    def one(cluster: Cluster, destination: str) -> ThreadResult:
        _cron_job(cluster, column, destination, BACKUP)
        return _run(cluster, column, destination, ("status",), _LOOK)

    return _each(column, "status", list(column.destinations), one)


def columns(column: Column) -> list[str]:
    """See Acts.columns."""
    with about(column.app, "looking for other columns"):
        # A column that was taken away leaves its namespace and the identity in it, but no CronJob.
        found = connect(column).list("CronJob", "", labels=COLUMN)
    return sorted({cron["metadata"]["labels"][COLUMN] for cron in found})


def _run(cluster: Cluster, column: Column, destination: str, command: Sequence[str], seconds: int) -> ThreadResult:
    """Run a command with the files of a backup, once."""
    spec = job_spec(column, destination, BACKUP, backup_pod(column, destination, command))
    spec["activeDeadlineSeconds"] = seconds
    return run(cluster, column, _order(column, destination, BACKUP, spec))


def _order(column: Column, destination: str, suffix: str, spec: dict[str, Any], cron: Manifest | None = None) -> Order:
    thread, base = f"{column.app}/{destination}", object_name(column.app, destination, suffix)
    return Order(thread, base, spec, spec["activeDeadlineSeconds"] + _START, cron)


def _cron_job(cluster: Cluster, column: Column, destination: str, suffix: str) -> Manifest:
    """Return the thread's CronJob. Raise ConfigurationError if it has none."""
    name = object_name(column.app, destination, suffix)
    found = cluster.get("CronJob", column.namespace, name)
    if found is None:
        where = shown_name("CronJob", column.namespace, name)
        raise ConfigurationError(f"there is no {where}", remedy="roll out first: run playbooks/site.yml")
    return found


def _explained(cluster: Cluster, column: Column, ended: ThreadResult) -> ThreadResult:
    """Name the policy of the database's side where its server did not answer: to the command in the pod, one that keeps
    it out looks like a server that hangs."""
    failure = ended.failure
    server = f"{column.variables.app_database_host}:{column.variables.app_database_port}"
    if not isinstance(failure, Unavailable) or server not in failure.problem:
        return ended
    try:
        live = cluster.get("Namespace", "", column.namespace)
        keeping = obstacle(cluster, column, Found({id_of(live): live} if live else {}))
    except BackupError:
        return ended  # it explains, and nothing depends on it
    if keeping is None:
        return ended
    told = Unavailable(
        f"{failure.problem}; {keeping.problem}", remedy=keeping.remedy, doing=failure.doing, subject=failure.subject
    )
    return dataclasses.replace(ended, failure=told)


def _each(column: Column, doing: str, destinations: Sequence[str], call: Call) -> list[ThreadResult]:
    """Do something for each destination, all at once, and return the results in order."""
    with about(column.app, doing):
        cluster = connect(column)

    def one(destination: str) -> ThreadResult:
        try:
            with about(f"{column.app}/{destination}", doing):
                return _explained(cluster, column, call(cluster, destination))
        except BackupError as error:
            return said(f"{column.app}/{destination}", None, (), {}, error)

    with ThreadPoolExecutor(max(1, len(destinations))) as pool:
        return list(pool.map(one, destinations))
