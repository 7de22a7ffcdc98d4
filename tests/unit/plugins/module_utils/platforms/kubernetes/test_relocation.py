# SPDX-License-Identifier: GPL-3.0-or-later
"""A NAS whose folder is another one now: the volume is made anew, the claim that holds it goes first."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from fanout.contract.errors import TryAgain
from fanout.inventory.column import Column
from fanout.local import waiting
from fanout.platforms.kubernetes.live_objects import Found, id_of
from fanout.platforms.kubernetes.objects import volumes
from fanout.platforms.kubernetes.relocation import Relocation, move
from tests.support.kubernetes_columns import NAS, column
from tests.support.names import to
from tests.support.scripted_cluster import Scripted, answer, cluster, path

SECOND = {"kind": "directory", "path": "/mnt/second", "nfs": {"server": "second.home.arpa", "path": "/backups"}}
OTHER_NAS = {**NAS, "nfs": {"server": "nas.home.arpa", "path": "/volume2/backups"}}


def with_nas(**destinations: Any) -> Column:
    return column(app_destinations=destinations, app_drill_destinations=None)


def moved(before: Column, after: Column, *, stuck: str = "", check_mode: bool = False) -> tuple[Relocation, Scripted]:
    """Roll `after` out where `before` is. Objects whose kind is `stuck` do not go away."""
    there = [copy.deepcopy(one) for name in before.thread_names for one in volumes(before, name)]
    server = Scripted(*there)
    for one in there:
        if one["kind"] == stuck:
            server.answers["DELETE", path(one)] = answer(200, one)
    found = Found({id_of(one): one for one in there})
    return move(cluster(server), after, found, check_mode=check_mode), server


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock:
        now = 0.0

        def monotonic(self) -> float:
            return self.now

        def sleep(self, seconds: float) -> None:
            self.now += seconds

    monkeypatch.setattr(waiting, "time", Clock())


def test_a_volume_with_the_same_folder_is_left_alone() -> None:
    done, server = moved(with_nas(nas=NAS), with_nas(nas=NAS))
    assert done == Relocation()
    assert server.writes == []


def test_a_volume_that_is_not_there_yet_is_nothing_to_move() -> None:
    assert moved(with_nas(second=SECOND), with_nas(second=SECOND, nas=NAS))[0] == Relocation()


def test_another_folder_takes_the_claim_away_and_then_its_volume() -> None:
    done, server = moved(with_nas(nas=NAS), with_nas(nas=OTHER_NAS))
    claim, volume = server.writes
    assert claim == ("DELETE", "/api/v1/namespaces/backup-forgejo/persistentvolumeclaims/forgejo-database-nas")
    assert volume == ("DELETE", "/api/v1/persistentvolumes/backup-forgejo-forgejo-database-nas")
    assert {kind for kind, _name in done.gone} == {"PersistentVolumeClaim", "PersistentVolume"}
    assert done.warnings == ["forgejo/database/nas: its folder is now another one. Copies in the old one stay there"]
    assert (done.failures, done.stuck) == ([], set())


def test_another_server_is_another_folder_too() -> None:
    elsewhere = {**NAS, "nfs": {**NAS["nfs"], "server": "nas2.home.arpa"}}  # type: ignore[dict-item]
    assert moved(with_nas(nas=NAS), with_nas(nas=elsewhere))[0].gone


def test_check_mode_foresees_it_and_does_nothing() -> None:
    done, server = moved(with_nas(nas=NAS), with_nas(nas=OTHER_NAS), check_mode=True)
    assert server.writes == []
    assert done.gone == moved(with_nas(nas=NAS), with_nas(nas=OTHER_NAS))[0].gone
    assert done.warnings


@pytest.mark.parametrize("stuck", ["PersistentVolumeClaim", "PersistentVolume"])
def test_one_that_a_pod_still_uses_fails_its_own_thread_and_no_other(stuck: str) -> None:
    done, _server = moved(with_nas(nas=NAS, second=SECOND), with_nas(nas=OTHER_NAS, second=SECOND), stuck=stuck)
    (failure,) = done.failures
    assert isinstance(failure, TryAgain)
    assert failure.subject == "forgejo/database/nas"
    assert f"{stuck} " in failure.problem
    assert "does not go away: a pod uses it" in failure.problem
    assert done.stuck == {to("nas")}
    assert done.gone == set()
    assert done.warnings == []
