# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from fanout.contract.errors import ConfigurationError
from fanout.inventory.longhorn import parse_server, servers_in
from fanout.longhorn.jobs import JobSpec, check_job

VOLUMES = {"namespace": "databases", "claims": ["data-postgresql-*"]}
SERVER: dict[str, Any] = {"longhorn_server": "shared_postgresql", "longhorn_volumes": VOLUMES}


def test_a_server_has_an_hourly_and_a_daily_job_of_its_own() -> None:
    hourly, daily = parse_server(SERVER, ["forgejo", "gitlab"]).jobs

    assert (hourly.keep, hourly.period, daily.keep, daily.period) == (24, 3600, 7, 86400)
    assert hourly.cron.split()[1:] == ["*", "*", "*", "*"]
    assert daily.cron.split()[2:] == ["*", "*", "*"]
    assert "0" not in (hourly.cron.split()[0], daily.cron.split()[0]), "never on the full hour"


@pytest.mark.parametrize("name", ["shared_postgresql", "x", "Upper_Case", "a" * 40, "ends-at-the-cut-" + "b" * 24])
def test_whatever_a_server_is_called_its_jobs_have_names_that_longhorn_can_run(name: str) -> None:
    for job in parse_server({**SERVER, "longhorn_server": name}, ["a"]).jobs:
        check_job(JobSpec(job.name, "snapshot", job.cron, job.keep), 100)


def test_snapshots_of_any_two_jobs_have_names_that_tell_them_apart() -> None:
    """Longhorn names a snapshot by the first 8 characters of its job."""
    servers = [parse_server({**SERVER, "longhorn_server": f"postgresql_{n}"}, ["a"]) for n in range(50)]

    assert len({job.name[:8] for server in servers for job in server.jobs}) == 100


def test_a_job_that_keeps_nothing_is_not_there_and_an_absent_server_has_none() -> None:
    assert [job.title for job in parse_server({**SERVER, "longhorn_keep": {"daily": 0}}, ["a"]).jobs] == ["hourly"]
    absent = parse_server({**SERVER, "longhorn_state": "absent"}, ["a"])
    assert absent.jobs == ()
    assert len(absent.all_jobs) == 2


def test_a_pattern_takes_the_claims_of_its_stateful_set_and_no_others() -> None:
    server = parse_server(SERVER, ["a"])

    assert server.names("data-postgresql-0")
    assert server.names("data-postgresql-12")
    for other in ("data-postgresql-old", "data-postgresql", "data-postgresql-0-clone", "more-data-postgresql-0"):
        assert not server.names(other)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"longhorn_volume": VOLUMES}, "longhorn_volume is unknown (did you mean 'longhorn_volumes'?)"),
        ({"longhorn_volumes": {"namespace": "databases", "claims": []}}, "longhorn_volumes.claims is empty"),
        ({"longhorn_volumes": {"namespace": "databases", "claims": ["*"]}}, "'*' is not a valid claim name"),
        ({"longhorn_volumes": {"namespace": "Data", "claims": ["a"]}}, "longhorn_volumes.namespace 'Data'"),
        ({"longhorn_server": "no good"}, "is not a name"),
        ({"longhorn_keep": {"hourly": 0, "daily": 0}}, "keeps no snapshot at all"),
        ({"longhorn_keep": {"hourly": -1}}, "is negative"),
        ({"longhorn_default_group": "ask"}, "must be one of keep, leave"),
    ],
)
def test_a_variable_that_cannot_work_is_refused_with_the_server_s_name(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        parse_server({**SERVER, **change}, ["a"])
    assert words in str(refused.value)
    assert str(refused.value).startswith("server ")


def test_a_host_takes_itself_off_its_group_s_server_with_null() -> None:
    servers = servers_in({"forgejo": SERVER, "gitlab": {**SERVER, "longhorn_server": None}})

    assert servers.refused == {}
    assert {name: server.apps for name, server in servers.found.items()} == {"shared_postgresql": ("forgejo",)}


def test_the_apps_of_a_server_are_all_hosts_that_name_it() -> None:
    other = {"longhorn_server": "immich", "longhorn_volumes": {"namespace": "immich", "claims": ["data"]}}

    servers = servers_in({"gitlab": SERVER, "forgejo": SERVER, "immich": other, "notes": {}})

    assert {name: server.apps for name, server in servers.found.items()} == {
        "shared_postgresql": ("forgejo", "gitlab"),
        "immich": ("immich",),
    }
    assert servers.refused == {}


def test_apps_that_say_different_things_of_their_server_are_refused_and_others_are_not() -> None:
    other = {"longhorn_server": "immich", "longhorn_volumes": {"namespace": "immich", "claims": ["data"]}}

    servers = servers_in({"a": SERVER, "b": {**SERVER, "longhorn_keep": {"hourly": 2}}, "immich": other})

    assert list(servers.found) == ["immich"]
    assert "longhorn_keep is not the same for a and b" in servers.refused["shared_postgresql"]


def test_two_servers_cannot_have_one_volume() -> None:
    volumes = {"namespace": "databases", "claims": ["data-postgresql-0"]}

    servers = servers_in({"a": SERVER, "b": {"longhorn_server": "other", "longhorn_volumes": volumes}})

    assert servers.found == {}
    assert all("shares the claim databases/data-postgresql-" in line for line in servers.refused.values())
