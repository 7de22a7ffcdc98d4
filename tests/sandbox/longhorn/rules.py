# SPDX-License-Identifier: GPL-3.0-or-later
"""What Longhorn's webhooks change and refuse, in the words of version 1.12.1.

Refusals marked (inferred) follow its documentation and source; all others were measured on a real control plane.
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
from collections.abc import Callable

from .api import Object

Find = Callable[[str], Object | None]

_RECURRING = ("recurring-job.longhorn.io/", "recurring-job-group.longhorn.io/")
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]+")
_GROUP = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
_LONGEST = 40
_BACKUP_TASKS = ("backup", "backup-force-create")
_PARAMETERS = ("full-backup-interval", "volume-backup-policy")
_CRON_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))


class Refusal(Exception):
    """What the validator says."""


def recurring(labels: dict[str, str] | None) -> dict[str, str]:
    """The labels of jobs and groups, `source` apart."""
    return {
        name: value
        for name, value in (labels or {}).items()
        if name.startswith(_RECURRING) and name != f"{_RECURRING[0]}source"
    }


def mutated(kind: str, new: Object, *, creating: bool, volume: Find) -> Object:
    """What the mutator makes of an object."""
    made = copy.deepcopy(new)
    if kind == "RecurringJob":
        _mutate_job(made, creating=creating)
    elif kind == "Volume" and not recurring(made["metadata"].get("labels")):
        made["metadata"].setdefault("labels", {})[f"{_RECURRING[1]}default"] = "enabled"
    elif kind == "Snapshot" and creating:
        found = volume(made["spec"]["volume"])
        if found is None:
            name = made["spec"]["volume"]
            raise Refusal(f'failed to get volume {name}: volume.longhorn.io "{name}" not found')
        metadata = made["metadata"]
        metadata.setdefault("labels", {})["longhornvolume"] = found["metadata"]["name"]
        metadata.setdefault("finalizers", []).append("longhorn.io")
        metadata["ownerReferences"] = [
            {
                "apiVersion": "longhorn.io/v1beta2",
                "kind": "Volume",
                "name": found["metadata"]["name"],
                "uid": found["metadata"]["uid"],
            }
        ]
    return made


def _mutate_job(job: Object, *, creating: bool) -> None:
    spec, name = job["spec"], job["metadata"]["name"]
    if creating and (len(name) > _LONGEST or name != name.lower()):
        name = f"{name.lower()[: _LONGEST - 9]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
        job["metadata"]["name"] = name
    spec["name"] = spec.get("name") or name
    task, retain = spec.get("task"), spec.get("retain") or 0
    if task in ("snapshot", "snapshot-force-create", *_BACKUP_TASKS):
        retain = max(retain, 1)
    elif task in ("snapshot-cleanup", "filesystem-trim"):
        retain = 0
    elif task == "snapshot-delete":
        retain = max(retain, 0)
    spec["retain"] = retain
    spec["concurrency"] = spec.get("concurrency") or 10
    for field, empty in (("groups", []), ("labels", {}), ("parameters", {})):
        if spec.get(field) is None:
            spec[field] = empty


def validate(kind: str, new: Object, old: Object | None, most: int) -> None:
    """Raise Refusal for what the validator does not let in. `most` is the setting recurring-job-max-retention."""
    if kind == "RecurringJob":
        _validate_job(new, most)
    elif kind == "Snapshot":
        if old and old["spec"]["volume"] != new["spec"]["volume"]:
            raise Refusal("spec.volume field is immutable")  # (inferred)
        for key, value in (new["spec"].get("labels") or {}).items():
            if "=" in key + value:
                raise Refusal("invalid label: = is not allowed")  # (inferred)


def _validate_job(job: Object, most: int) -> None:
    spec, name = job["spec"], job["metadata"]["name"]
    if len(spec["name"]) > _LONGEST:
        raise Refusal(f"job name {spec['name']} must be {_LONGEST} characters or less")
    if not _NAME.fullmatch(name):
        raise Refusal(f"invalid name {name}")
    _validate_cron(spec.get("cron") or "")
    if spec["retain"] > most:
        raise Refusal(f"retain value should be less than or equal to {most}")
    for group in spec["groups"]:
        if not _GROUP.fullmatch(group):
            raise Refusal(f"invalid group {group}")  # (inferred)
    for key, value in spec["labels"].items():
        if not value:
            raise Refusal(f"value for label with key {key} cannot be empty")
    bad = [f"{key}:{value}" for key, value in spec["parameters"].items() if key not in _PARAMETERS]
    if spec["task"] in _BACKUP_TASKS and bad:
        raise Refusal(f"failed to validate recurring job backup task parameters: {bad[0]} is not a valid parameter")


def _validate_cron(cron: str) -> None:
    if re.fullmatch(r"@(daily|hourly|weekly|monthly|yearly|annually|midnight|every [0-9]+[smh])", cron):
        return
    fields = cron.split()
    if len(fields) != len(_CRON_RANGES):
        raise Refusal(f"invalid cron format({cron}): expected exactly 5 fields, found {len(fields)}: {fields}")
    for field, (_least, highest) in zip(fields, _CRON_RANGES, strict=True):
        for number in map(int, re.findall(r"(?<!/)\b[0-9]+", field)):
            if number > highest:
                raise Refusal(
                    f"invalid cron format({cron}): End of range ({number}) above maximum ({highest}): {number}"
                )


def by_engine(value: str) -> str:
    """A setting's value for engine v1: since 1.10 some are JSON with one for each engine."""
    try:
        found = json.loads(value)
    except ValueError:
        return value
    return str(found.get("v1", "")) if isinstance(found, dict) else value
