# SPDX-License-Identifier: GPL-3.0-or-later
"""How a column in its cluster differs from what a roll-out would make of it: the same plan and the same comparison, but
nothing is sent, so that the right to read is enough, and a field that somebody else took is a difference, no conflict.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...contract import key_file
from ...contract.destination import B2Destination
from ...contract.errors import ROLL_OUT, ConfigurationError, about
from ...contract.thread import KEY_FILE, ThreadName
from ...inventory.column import Column
from ...inventory.kubernetes import KEY, object_name
from ...k8s.cluster import connect
from ...k8s.resources import Manifest, shown_name
from ..base import Drift
from ..differences import fields_of_json, listed, told
from .apply import unlike
from .drill_identity import Identity, identity
from .live_objects import Found, Id, id_of, label, read
from .objects import KEY_OF, namespace, proved_in, secret_text, thread_of
from .onboarding import Onboarding
from .passwords import passwords
from .plan import ObjectPlan, plan
from .pods import THREAD_FILE

_OF_THREAD = f"data.{THREAD_FILE}"


def differences(column: Column) -> Drift:
    """See DriftOf.differences."""
    with about(column.app, "comparing it with what would be rolled out"):
        cluster = connect(column)
        found = read(cluster, column)
        live = found.objects.get(("Namespace", column.namespace))
        if live is not None and (live.get("status") or {}).get("phase") == "Terminating":
            remedy = f"wait until it is gone, then {ROLL_OUT}; if it stays, see which finalizers it has"
            return {"": [told(f"Namespace {column.namespace} is being deleted", remedy)]}
        given = passwords(cluster, column, found)
        owner = identity(column, found, check_mode=True)
        known = Onboarding(cluster, column, found, take_over=False).onboard(owner, (), check_mode=True)
        planned = plan(column, found, given.texts, owner.keys, known)
    drift: dict[str, list[str]] = {"": [told(text.removeprefix(f"{column.app}: ")) for text in given.warnings]}
    drift[""] += [told(what) for what in _of_the_column(column, found, planned, owner)]
    for thread in column.thread_names:
        drift[str(thread)] = list(_of_a_thread(column, found, planned, thread))
    for error in planned.failures:
        drift[error.subject].append(told(error.problem, error.remedy))
    return drift


def suspended(column: Column, found: Found) -> list[str]:
    """Return a line for each CronJob of the column that starts nothing. A roll-out leaves that to whoever did it."""
    return [
        told(f"{_shown(column, key)} is suspended and starts nothing", _resume(column, key[1]))
        for key, one in sorted(found.ours(column).items())
        if key[0] == "CronJob" and one["spec"].get("suspend")
    ]


def _resume(column: Column, name: str) -> str:
    return f'kubectl --namespace {column.namespace} patch cronjob {name} --patch \'{{"spec":{{"suspend":false}}}}\''


def _of_the_column(column: Column, found: Found, planned: ObjectPlan, owner: Identity) -> Iterator[str]:
    # What was proved is no part of what is compared: a changed login, which is, takes it back.
    live = found.objects.get(("Namespace", column.namespace))
    own = [one for one in planned.objects[None] if one["kind"] != "Namespace"]
    if owner.new is not None:
        yield f"{_shown(column, id_of(owner.new))} is missing"
    elif planned.onboarded is not None:
        own.append(planned.onboarded)
    for one in (namespace(column, proved_in(live)), *own):
        yield from _differences(column, found, one)
    wanted = planned.all()
    for key, one in sorted(found.ours(column).items()):
        # What has no thread goes by itself: a restore's login, what outlives the column.
        if key not in wanted and thread_of(column, one) not in {None, *planned.kept}:
            yield f"{_shown(column, key)} is not wanted any more"


def _of_a_thread(column: Column, found: Found, planned: ObjectPlan, thread: ThreadName) -> Iterator[str]:
    wanted = planned.objects.get(thread, [])
    if wanted and not any(id_of(one) in found.objects for one in wanted):
        yield told("it is not rolled out")
        return
    for one in wanted:
        yield from map(told, _differences(column, found, one))
    if isinstance(column.destination_of(thread), B2Destination):
        yield from map(told, _of_a_minted_key(column, found, thread))
    ours = {key: one for key, one in found.objects.items() if thread_of(column, one) == thread}
    yield from suspended(column, Found(ours))


def _differences(column: Column, found: Found, wanted: Manifest) -> Iterator[str]:
    shown = _shown(column, id_of(wanted))
    live = found.objects.get(id_of(wanted))
    if live is None:
        yield f"{shown} is missing"
        return
    paths = list(unlike(live, wanted))
    if _OF_THREAD in paths:
        inner = fields_of_json(live["data"].get(THREAD_FILE, ""), wanted["data"][THREAD_FILE])
        paths[paths.index(_OF_THREAD)] = f"{_OF_THREAD} ({listed(inner)})" if inner else _OF_THREAD
    if paths == [""]:
        yield f"{shown} was rolled out from other variables"
    elif paths:
        yield f"{shown} differs: {listed(paths)}"


def _of_a_minted_key(column: Column, found: Found, thread: ThreadName) -> Iterator[str]:
    """Backblaze is not asked: a look needs no key of the account, and what the key reaches is probed."""
    where, prefix = column.destination_of(thread), column.source_prefix(thread.source)
    key = ("Secret", object_name(thread, KEY))
    live = found.objects.get(key)
    if live is None:
        yield f"{_shown(column, key)} is missing"
        return
    try:
        current = key_file.parse((secret_text(live, KEY_FILE) or "").encode(), KEY_FILE).current
    except ConfigurationError:
        current = None
    if label(live, KEY_OF) != column.app or current is None:
        yield f"{_shown(column, key)} holds no key of this thread"
    elif isinstance(where, B2Destination) and (current.bucket, current.prefix) != (where.bucket, prefix):
        yield f"{_shown(column, key)} holds a key for another place"


def _shown(column: Column, key: Id) -> str:
    kind, name = key
    return shown_name(kind, column.namespace, name)
