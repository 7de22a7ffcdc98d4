# SPDX-License-Identifier: GPL-3.0-or-later
"""The test cluster itself is a real one: what later tests build on, each shown once."""

from __future__ import annotations

import errno
import json
import socket
from collections.abc import Iterator

import pytest

from tests.sandbox.cluster.access import PATIENCE, Access, until
from tests.sandbox.cluster.pods import restricted, serve_postgresql

from .columns import leave_out_elsewhere

PASSWORD = "of a server that lives for one test"


def job(name: str, spec: dict[str, object]) -> dict[str, object]:
    return {"metadata": {"name": name}, "spec": {"backoffLimit": 0, "template": {"spec": spec}}}


@pytest.fixture(scope="module")
def database(access: Access) -> Iterator[tuple[str, str]]:
    """A PostgreSQL server: its namespace, and the name by which pods reach it."""
    with access.namespace() as name:
        yield name, serve_postgresql(access, name, PASSWORD)


def test_the_node_is_ready_and_takes_pods(access):
    nodes = access.core.list_node().items
    assert nodes
    for node in nodes:
        assert {each.type: each.status for each in node.status.conditions}["Ready"] == "True"
        assert not node.spec.taints


def test_a_job_runs_in_a_restricted_namespace_and_its_output_and_exit_code_are_read(access, namespace):
    spec = restricted(access.cluster.images.runner, "sh", "-c", "id -u; exit 65")
    access.batch.create_namespaced_job(namespace, job("answer", spec))
    answer = access.finished_job(namespace, "answer")
    assert (answer.exit_code, answer.output) == (65, "10001\n")


def test_a_cron_job_in_a_time_zone_starts_jobs_by_itself(access, namespace):
    spec = {
        "schedule": "* * * * *",
        "timeZone": "Europe/Berlin",
        "jobTemplate": {"spec": job("", restricted(access.cluster.images.runner, "true"))["spec"]},
    }
    access.batch.create_namespaced_cron_job(namespace, {"metadata": {"name": "minutely"}, "spec": spec})

    def succeeded() -> bool:
        jobs = access.batch.list_namespaced_job(namespace).items
        return any(each.status.succeeded for each in jobs)

    until("the CronJob has started a Job that succeeded", succeeded)


def test_a_pod_that_runs_as_root_is_refused_in_a_restricted_namespace(access, namespace):
    from kubernetes.client import ApiException

    spec = restricted(access.cluster.images.runner, "true", user=0)
    with pytest.raises(ApiException) as refused:
        access.core.create_namespaced_pod(namespace, {"metadata": {"name": "root"}, "spec": spec})
    assert refused.value.status == 403
    assert 'violates PodSecurity "restricted' in json.loads(refused.value.body)["message"]


def test_a_postgresql_server_with_pgvector_answers_by_the_name_of_its_service(access, namespace, database):
    _, host = database
    sql = "CREATE EXTENSION vector; SELECT current_setting('server_version'), '[1,2]'::vector <-> '[4,6]'"
    spec = restricted(
        access.cluster.images.runner,
        *("psql", f"--host={host}", "--username=postgres", "--no-align", "--tuples-only", "--quiet", "-c", sql),
        env=[{"name": "PGPASSWORD", "value": PASSWORD}],
    )
    access.batch.create_namespaced_job(namespace, job("client", spec))
    answer = access.finished_job(namespace, "client")
    assert answer.exit_code == 0, answer.output
    assert answer.output.startswith("17.")
    assert answer.output.endswith("|5\n")


def test_commands_run_in_a_pod_and_their_exit_codes_come_back(access, database):
    namespace, _ = database
    sql = "SELECT datcollate FROM pg_database WHERE datname = 'postgres'"
    answer = access.execute(namespace, "postgresql", "psql", "--username=postgres", "-Atc", sql)
    assert (answer.exit_code, answer.output) == (0, "en_US.UTF-8\n")
    assert access.execute(namespace, "postgresql", "sh", "-c", "exit 3").exit_code == 3


def test_the_runner_starts_as_10001_with_a_read_only_root(access, namespace):
    access.batch.create_namespaced_job(
        namespace, job("version", restricted(access.cluster.images.runner, args=["--version"]))
    )
    answer = access.finished_job(namespace, "version")
    assert answer.exit_code == 0, answer.output
    assert answer.output.strip() == "1.0.0"


def test_nothing_can_be_written_but_what_is_mounted(access, namespace):
    check = "open('/tmp/here', 'w').close(); open('/here', 'w')"
    spec = restricted(access.cluster.images.runner, "/opt/fanout/bin/python", "-c", check)
    access.batch.create_namespaced_job(namespace, job("write", spec))
    answer = access.finished_job(namespace, "write")
    assert answer.exit_code == 1
    assert f"[Errno {errno.EROFS}]" in answer.output
    assert "'/here'" in answer.output


def test_the_runner_carries_the_library_and_the_client_of_the_servers_major(access, namespace):
    check = (
        "import os, fanout.actions.backup, fanout.actions.drill, boto3, psycopg, pyrage, backports.zstd; "
        "print(os.getuid(), os.path.exists('/usr/lib/postgresql/17/bin/pg_dump'))"
    )
    spec = restricted(access.cluster.images.runner, "/opt/fanout/bin/python", "-c", check)
    access.batch.create_namespaced_job(namespace, job("look", spec))
    answer = access.finished_job(namespace, "look")
    assert (answer.exit_code, answer.output) == (0, "10001 True\n")


def test_pods_reach_a_server_of_the_test_at_the_machines_address(access, namespace):
    leave_out_elsewhere(access)
    with socket.create_server((access.cluster.machine, 0)) as server:
        host, port = server.getsockname()
        check = f"import socket; print(socket.create_connection(({host!r}, {port}), timeout=60).recv(100).decode())"
        spec = restricted(access.cluster.images.runner, "/opt/fanout/bin/python", "-c", check)
        access.batch.create_namespaced_job(namespace, job("caller", spec))
        server.settimeout(PATIENCE)
        connection, _ = server.accept()
        with connection:
            connection.sendall(b"served")
        assert access.finished_job(namespace, "caller").output == "served\n"
