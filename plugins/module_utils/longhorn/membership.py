# SPDX-License-Identifier: GPL-3.0-or-later
"""Having a server's volumes run its jobs, without taking from them what they run already.

Labels of a claim count only together with one more, `source`, and with it nothing but them counts: whatever the claim
does not name, the volume loses, its place in the group `default` included. So what the volume runs is read first, and
all of it goes onto the claim in the same apply as our own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..contract.errors import ConfigurationError, TryAgain, about
from ..inventory.longhorn import Server
from ..k8s.resources import Manifest
from ..local.waiting import wait
from ..platforms.base import Change
from .hazards import hazards
from .system import Longhorn, connect
from .volumes import DEFAULT, ENABLED, SOURCE, Volume, job_label, recurring, volumes_of

# Longhorn copies labels every 30 s.
_SYNC = 90.0
_LOOK = 1.0


@dataclass(frozen=True)
class Wanted:
    """The labels that a claim is to have, and what a user should know of them."""

    labels: Mapping[str, str]
    warnings: tuple[str, ...] = ()


def opt_in(server: Server, *, check_mode: bool) -> Change:
    """Have every volume of the server run its jobs, and wait until Longhorn has taken that over.

    Raise ConfigurationError, before anything is changed, if a volume would silently leave the group `default`;
    TryAgain if Longhorn does not follow.
    """
    with about(f"server {server.name}", "opting its volumes in"):
        longhorn = connect(server)
        volumes = volumes_of(longhorn, server)
        jobs = longhorn.list("RecurringJob")
        planned = [(volume, wanted_labels(server, volume, jobs)) for volume in volumes]
        warnings: list[str] = []
        before: dict[str, object] = {}
        after: dict[str, object] = {}
        for volume, wanted in planned:
            then = _apply(longhorn, server, volume, wanted, check_mode=check_mode)
            before[volume.shown], after[volume.shown] = _shown(volume.claim_labels), _shown(then)
            warnings += [*wanted.warnings, *hazards(longhorn, server, volume, recurring(then), jobs)]
            if not check_mode:
                _follow(longhorn, volume, recurring(then))
        return Change(before, after, tuple(f"server {server.name}: {line}" for line in warnings))


def wanted_labels(server: Server, volume: Volume, jobs: Sequence[Manifest]) -> Wanted:
    """Return what the claim of a volume has to be labelled with. `jobs` are all of Longhorn's. Raise ConfigurationError
    if its owner has to decide first."""
    ours = {job_label(job.name): ENABLED for job in server.jobs}
    speaks = volume.claim_labels.get(SOURCE) == ENABLED
    on_claim, on_volume = recurring(volume.claim_labels), recurring(volume.labels)
    # A claim that speaks for its volume already is the truth; what else the volume has is about to go.
    carried = on_claim if speaks else on_volume | on_claim
    decided = server.variables.longhorn_default_group
    # A claim that names jobs or groups itself has decided. One that names none leaves its volume in the default group.
    if decided is None and carried.keys() - ours.keys() <= {DEFAULT} and not (speaks and on_claim):
        raise ConfigurationError(
            f"the volume of {volume.shown} is in no group but Longhorn's default, and would leave that with our jobs"
            f" ({_through_default(jobs)})",
            remedy="set longhorn_default_group to keep, or to leave if that is what you want",
        )
    if decided == "keep":
        carried = carried | {DEFAULT: ENABLED}
    elif decided == "leave":
        carried = {name: value for name, value in carried.items() if name != DEFAULT}
    new = sorted(on_claim.keys() - on_volume.keys() - ours.keys()) if not speaks else []
    warnings = [
        f"{volume.shown}: Longhorn ignored the claim's label {name} until now. It counts from here on" for name in new
    ]
    return Wanted({SOURCE: ENABLED, **carried, **ours}, tuple(warnings))


def _through_default(jobs: Sequence[Manifest]) -> str:
    names = [
        f"{job['metadata']['name']}: {job['spec'].get('task')}"
        for job in jobs
        if "default" in (job["spec"].get("groups") or ())
    ]
    return f"through it runs {', '.join(sorted(names))}" if names else "no job runs through it now"


def _apply(
    longhorn: Longhorn, server: Server, volume: Volume, wanted: Wanted, *, check_mode: bool
) -> Mapping[str, str]:
    """Have the claim bear the labels, and return all that it has then, or would have. Whatever else a claim is, stays
    with its owner: nothing but labels is sent."""
    metadata = {
        "name": volume.claim_name,
        "namespace": volume.claim["metadata"]["namespace"],
        "labels": dict(wanted.labels),
    }
    manifest: Manifest = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata}
    force = server.variables.longhorn_force_conflicts
    with about(doing=f"labelling the claim {volume.shown}"):
        then = longhorn.cluster.apply(manifest, dry_run=check_mode, force=force)
    return then["metadata"].get("labels") or {}


def _follow(longhorn: Longhorn, volume: Volume, wanted: Mapping[str, str]) -> None:
    """Wait until the volume has the jobs and groups of its claim, and no others."""

    def found() -> dict[str, str]:
        return recurring((longhorn.get("Volume", volume.name) or {"metadata": {}})["metadata"].get("labels"))

    def late() -> TryAgain:
        has = found()
        lacking, besides = sorted(wanted.keys() - has.keys()), sorted(has.keys() - wanted.keys())
        return TryAgain(
            f"after {_SYNC:.0f} s the volume {volume.name} of {volume.shown} does not follow its claim"
            f" (lacks: {', '.join(lacking) or 'nothing'}; has besides: {', '.join(besides) or 'nothing'})",
            remedy="see that Longhorn's managers run, then roll out again",
        )

    wait(lambda: found() == wanted, _SYNC, late, pause=_LOOK)


def _shown(labels: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in labels.items() if name == SOURCE or name in recurring(labels)}
