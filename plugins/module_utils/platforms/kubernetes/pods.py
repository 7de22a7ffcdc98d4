# SPDX-License-Identifier: GPL-3.0-or-later
"""The pods in which the command `fanout` runs, and beside a drill the app's own PostgreSQL. All pass the level
"restricted" of Pod Security."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from typing import Any

from ...contract.codec import encode
from ...contract.destination import B2Destination, DirectoryDestination, S3Destination
from ...contract.thread import IDENTITY_FILE, KEY_FILE, ThreadName
from ...inventory.column import CA_FILE, PASSWORD_FILE, SCRATCH_SERVER, Column
from ...inventory.kubernetes import DRILL_IDENTITY, KEY, object_name
from ...inventory.pods import amount, as_served
from ...local.clock import NODE
from ...sources.postgresql import sidecar

RUN_AS = 10001
# The scratch server has a number of its own. What both have in common is the group of the folder of its socket.
SERVER_RUNS_AS = 10002
COMMAND = "fanout"
SERVER = "server"
THREAD_FILE = "thread.json"
CONFINE = "confine"  # the container that brings the program of this name, and its volume
# The same layout as a column's folder on platform `host`, so that thread.json names its files alike.
FOLDER = "/etc/fanout"
LIVE_FILE = "live.json"
LENT = "lent.json"
LIVE = "fanout.backup/live"
# The images know no account of our number, and initdb refuses to run without a name.
PASSWD = f"""\
root:x:0:0:root:/root:/sbin/nologin
postgres:x:{SERVER_RUNS_AS}:{SERVER_RUNS_AS}:scratch server:/tmp:/bin/sh
"""

_MEMORY = "512Mi"
_SMALL_MEMORY = "128Mi"
_DRILL_MEMORY = "1Gi"
# What building an index of a large table may take; more would be the app's.
_SERVER_MEMORY = "2Gi"
_DATA = "/var/lib/fanout"
_COPIES = "copies"
_CONFINE = f"/usr/local/bin/{CONFINE}"  # in our image
_CONFINED = "/run/fanout/confine"  # beside the server

Volume = dict[str, Any]
Pod = dict[str, Any]


def backup_pod(column: Column, thread: ThreadName, command: Sequence[str]) -> Pod:
    """Return the pod of a run that holds the source's login: a backup, a probe, a look."""
    return _pod(column, thread, command, [*_thread_files(column, thread), *_login_files(column, thread)])


def onboarding_pod(column: Column, thread: ThreadName, secret: str, options: Sequence[str]) -> Pod:
    """Return the pod that makes a prefix this column's, with the thread.json, and of kind s3 the key, of the Secret
    `secret`. It needs no login. It alone sees the root of a directory destination: the thread's folder in it may not be
    there yet."""
    where = column.destination_of(thread)
    names = [THREAD_FILE, *([KEY_FILE] if isinstance(where, S3Destination) else [])]
    files = [_from_secret(secret, {name: path_of(thread, name) for name in names})]
    files += [_key_file(thread)] if isinstance(where, B2Destination) else []
    pod = _pod(column, thread, ("onboard", *options), files)
    for mount in pod["containers"][0]["volumeMounts"]:
        if mount["name"] == _COPIES and isinstance(where, DirectoryDestination):
            mount["mountPath"] = where.path
            del mount["subPath"]
    return pod


def restore_pod(column: Column, thread: ThreadName, command: Sequence[str], login: str | None) -> Pod:
    """Return the pod of a restore: with identity and login, and the Secret `login` of who may make databases."""
    files = [*_thread_files(column, thread), _identity_file(), *_login_files(column, thread)]
    return _lending(column, thread, command, files, login, "--login")


def history_pod(column: Column, thread: ThreadName, command: Sequence[str], key: str | None) -> Pod:
    """Return the pod that brings history back: without identity and login, and with the Secret `key` of a key that may
    delete versions."""
    return _lending(column, thread, command, _thread_files(column, thread), key, "--key")


def _lending(
    column: Column, thread: ThreadName, command: Sequence[str], files: list[Volume], secret: str | None, option: str
) -> Pod:
    """Return a pod whose command gets what it is lent for one act, if anything, by its `option`."""
    if secret is None:
        return _pod(column, thread, command, files)
    lent = _from_secret(secret, {LENT: LENT})
    return _pod(column, thread, (*command, f"{option}={FOLDER}/{LENT}"), [*files, lent])


def drill_pod(column: Column, thread: ThreadName, options: Sequence[str] = (), *, live: bool = False) -> Pod:
    """Return the pod of a drill: no login of the source, and beside it the scratch server that its kind needs.

    With `live` it reads the live database's answers from the pod's annotation LIVE."""
    files = [*_thread_files(column, thread), _identity_file()]
    if live:
        field = {"fieldPath": f"metadata.annotations['{LIVE}']"}
        files.append({"downwardAPI": {"items": [{"path": LIVE_FILE, "fieldRef": field}]}})
        options = ("--live", f"{FOLDER}/{LIVE_FILE}", *options)
    pod = _pod(column, thread, ("drill", *options), files)
    pod["containers"][0]["resources"] = _resources(column, _DRILL_MEMORY)
    if (image := column.source_of(thread).scratch_image) is not None:
        _add_server(pod, column, thread, image)
    return pod


def _add_server(pod: Pod, column: Column, thread: ThreadName, image: str) -> None:
    pod["containers"][0]["volumeMounts"].append({"name": "sockets", "mountPath": SCRATCH_SERVER})
    pod["initContainers"] = [_confine(column), _server(column, image)]
    passwd = {"name": object_name(thread), "items": [{"key": "passwd", "path": "passwd"}]}
    pod["volumes"] += [
        {"name": "passwd", "configMap": passwd},
        # In memory: what the server fills there is refused at once, and is its own share of it.
        {"name": "sockets", "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}},
        {"name": "server-tmp", "emptyDir": {"sizeLimit": "64Mi"}},
        {"name": CONFINE, "emptyDir": {"sizeLimit": "16Mi"}},
        {"name": "data", "emptyDir": {"sizeLimit": as_served(column.variables.app_scratch_size)}},
        {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "256Mi"}},
    ]


def _confine(column: Column) -> dict[str, Any]:
    """Bring the program that confines the server, which its own image lacks, to where the server starts behind it."""
    return {
        "name": CONFINE,
        "image": column.variables.app_image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["cp", _CONFINE, f"{_CONFINED}/{CONFINE}"],
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": _locked_down(),
        "resources": _resources(column, _SMALL_MEMORY),
        "volumeMounts": [{"name": CONFINE, "mountPath": _CONFINED}],
    }


def _server(column: Column, image: str) -> dict[str, Any]:
    """The scratch server: a native sidecar, which starts before the drill and is stopped after it. Its image's entry
    point would make users, listen on the network and want to be root.

    From its first process on it is confined: it and all that a dump starts in it reach no network, on a cluster that
    enforces policies as on any other. It shares the folder of its socket with the drill, and nothing else that either
    could write: no process, no /tmp, no memory."""
    return {
        "name": SERVER,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "restartPolicy": "Always",
        "command": [f"{_CONFINED}/{CONFINE}", "sh", "-c", sidecar.script(SCRATCH_SERVER, f"{_DATA}/server")],
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {**_locked_down(), "runAsUser": SERVER_RUNS_AS, "runAsGroup": SERVER_RUNS_AS},
        "resources": _resources(column, _SERVER_MEMORY),
        "volumeMounts": [
            {"name": "sockets", "mountPath": SCRATCH_SERVER},
            {"name": "data", "mountPath": _DATA},
            {"name": "shm", "mountPath": "/dev/shm"},
            {"name": "server-tmp", "mountPath": "/tmp"},
            {"name": CONFINE, "mountPath": _CONFINED, "readOnly": True},
            {"name": "passwd", "mountPath": "/etc/passwd", "subPath": "passwd", "readOnly": True},
        ],
    }


def _pod(column: Column, thread: ThreadName, command: Sequence[str], files: list[Volume]) -> Pod:
    where = column.destination_of(thread)
    scratch = column.variables.app_scratch_directory
    mounts = [
        {"name": "column", "mountPath": FOLDER, "readOnly": True},
        {"name": "scratch", "mountPath": scratch},
        {"name": "tmp", "mountPath": "/tmp"},
    ]
    volumes: list[Volume] = [
        {"name": "column", "projected": {"defaultMode": 0o440, "sources": files}},
        {"name": "scratch", "emptyDir": {"sizeLimit": as_served(column.variables.app_scratch_size)}},
        {"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}},
    ]
    if posixpath.normpath(scratch) == "/tmp":
        del mounts[2], volumes[2]
    if isinstance(where, DirectoryDestination):
        claim = where.claim or object_name(thread)
        own = column.source_prefix(thread.source).rstrip("/")
        # A pod sees its own source's folder, and no other.
        mounts.append({"name": _COPIES, "mountPath": posixpath.join(where.path, own), "subPath": own})
        volumes.append({"name": _COPIES, "persistentVolumeClaim": {"claimName": claim}})
    container = {
        "name": COMMAND,
        "image": column.variables.app_image,
        "imagePullPolicy": "IfNotPresent",
        "command": [COMMAND, command[0], "--thread", f"{FOLDER}/{path_of(thread, THREAD_FILE)}", *command[1:]],
        "env": [
            {"name": "HOME", "value": "/tmp"},
            {"name": NODE, "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
        ],
        "securityContext": _locked_down(),
        "resources": _resources(column, _MEMORY),
        "volumeMounts": mounts,
    }
    return {
        "restartPolicy": "Never",
        "serviceAccountName": object_name(thread),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 60,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": RUN_AS,
            "runAsGroup": RUN_AS,
            "fsGroup": RUN_AS,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": volumes,
        **_nodes(column),
    }


def _nodes(column: Column) -> dict[str, Any]:
    """Return on which nodes a pod runs, if that is not any."""
    tolerations = encode(column.variables.app_tolerations)
    labels = dict(column.variables.app_node_selector)
    return {**({"tolerations": tolerations} if tolerations else {}), **({"nodeSelector": labels} if labels else {})}


def path_of(thread: ThreadName, file: str) -> str:
    """Return the path of one of a thread's files below FOLDER."""
    return f"{thread.source}/{thread.destination}/{file}"


def _locked_down() -> dict[str, Any]:
    return {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}


def _resources(column: Column, memory: str) -> dict[str, Any]:
    """No limit of CPU, because a throttled run misses its window; every emptyDir has a limit of its own. What the
    inventory names takes the place of that, and a request that it does not name is never more than its limit."""
    given = column.variables.app_resources
    requests = {"cpu": "100m", "memory": "128Mi", "ephemeral-storage": "1Gi", **given.requests}
    limits = {"memory": memory, **given.limits}
    for name in requests.keys() & limits.keys():
        if amount(requests[name]) > amount(limits[name]):
            if name in given.requests:
                limits[name] = requests[name]
            else:
                requests[name] = limits[name]
    return {"requests": _served(requests), "limits": _served(limits)}


def _served(amounts: Mapping[str, str]) -> dict[str, str]:
    return {name: as_served(quantity) for name, quantity in amounts.items()}


def _thread_file(thread: ThreadName) -> Volume:
    items = [{"key": THREAD_FILE, "path": path_of(thread, THREAD_FILE)}]
    return {"configMap": {"name": object_name(thread), "items": items}}


def _thread_files(column: Column, thread: ThreadName) -> list[Volume]:
    files = [_thread_file(thread)]
    if not isinstance(column.destination_of(thread), DirectoryDestination):
        files.append(_key_file(thread))
    return files


def _key_file(thread: ThreadName) -> Volume:
    key = _from_secret(object_name(thread, KEY), {KEY_FILE: path_of(thread, KEY_FILE)})
    # Optional: without its key the command says what is missing, where the pod would just not start.
    key["secret"]["optional"] = True
    return key


def _login_files(column: Column, thread: ThreadName) -> list[Volume]:
    name, source = object_name(thread), column.source_of(thread)
    files = [_from_secret(name, {PASSWORD_FILE: f"{thread.source}/{PASSWORD_FILE}"})] if source.is_logged_in_to else []
    if source.ca is not None:
        item = {"key": CA_FILE, "path": f"{thread.source}/{CA_FILE}"}
        files.append({"configMap": {"name": name, "items": [item]}})
    return files


def _identity_file() -> Volume:
    return _from_secret(DRILL_IDENTITY, {IDENTITY_FILE: IDENTITY_FILE})


def _from_secret(name: str, paths: dict[str, str]) -> Volume:
    return {"secret": {"name": name, "items": [{"key": key, "path": path} for key, path in paths.items()]}}
