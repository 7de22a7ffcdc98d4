# SPDX-License-Identifier: GPL-3.0-or-later
"""Situations of logins, roles and names. The numbers are those by which they were reported; 13 is in
tests/end_to_end/test_certificates.py, 19 in test_bucket_without_versions.py."""

from __future__ import annotations

import subprocess

import pytest

from fanout.contract.errors import Exit

from .lab import Said, field, words


def test_12_a_role_that_only_has_a_setting_here_is_brought_back_too() -> None:
    with field("12", superuser=True) as made:
        assert made.backup().code == Exit.OK
        drilled = made.drill()
        with made.recovered(login="meter") as again:
            assert again.said.code == 0, again.said.text
            assert again.rows == {"thing": 2}
            with again.server.connect("field", "meter", "pw-of-the-login-after-recovery") as meter:
                assert meter.execute("SHOW statement_timeout").fetchone() == ("20s",)

    assert drilled.code == Exit.OK, drilled.text


def test_18_a_database_called_postgres_is_drilled_switched_and_recovered() -> None:
    with field(database="postgres", superuser=True) as made:
        server = made.database.server
        with server.connect(autocommit=True) as connection:
            connection.execute("CREATE TABLE note (id int PRIMARY KEY); INSERT INTO note VALUES (1), (2)")
        assert made.backup().code == Exit.OK
        drilled = made.drill()
        restored = made.restore()
        with server.connect(autocommit=True) as connection:
            connection.execute("INSERT INTO note VALUES (3)")
        pasted = paste(restored, server.superuser_password)
        assert pasted.returncode == 0, pasted.stdout
        assert made.restored("postgres") == {"note": 2}
        with made.recovered(login="postgres") as again:
            assert again.said.code == 0, again.said.text
            assert again.rows == {"note": 2}

    assert (drilled.code, restored.code) == (Exit.OK, Exit.OK)


def paste(restored: Said, password: str) -> subprocess.CompletedProcess[str]:
    """Paste the printed switch into the printed psql, as a shell and psql read them."""
    (command,) = {line.partition("-- in: ")[2] for line in restored.text.splitlines() if line.startswith("-- in: ")}
    lines = restored.text.partition("-- To switch")[2].partition("-- Start the app")[0]
    return subprocess.run(
        ["bash", "-c", f"{command} --no-psqlrc --set=ON_ERROR_STOP=1"], input=f"--{lines}", text=True, check=False,
        env={"PATH": "/usr/bin:/bin", "PGPASSWORD": password}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        timeout=60,
    )  # fmt: skip


def test_25_what_a_nas_puts_into_its_share_by_itself_is_in_nobody_s_way() -> None:
    with field("01") as made:
        assert made.backup().code == Exit.OK
        for folder in [made.database.nas, *(path for path in made.database.nas.rglob("*") if path.is_dir())]:
            for name in ("@eaDir", "#recycle"):
                (folder / name).mkdir()
                (folder / name / "Thumbs.db").write_bytes(b"of the NAS")
            for name in (".DS_Store", "Thumbs.db"):
                (folder / name).write_bytes(b"of the NAS")
        drilled = made.drill()
        again = made.backup()
        with made.recovered() as recovered:
            assert recovered.said.code == 0, recovered.said.text
            assert recovered.rows == {"parcel": 2}

    assert (drilled.code, again.code) == (Exit.OK, Exit.OK)


def test_30_a_login_by_the_system_s_user_is_told_apart_from_a_server_that_does_not_answer() -> None:
    with field("01") as made:
        server = made.database.server
        (server.data / "pg_hba.conf").write_text("local all all peer\nhost all all 127.0.0.1/32 scram-sha-256\n")
        with server.connect() as connection:
            connection.execute("SELECT pg_reload_conf()")
            connection.commit()
        said = made.reading(host=str(server.directory / "s")).backup()

    assert said.code == Exit.NO_PERMISSION
    assert "run as that user, or let it in with a password (scram-sha-256) in pg_hba.conf" in said.last


@pytest.mark.parametrize("superuser", [False, True])
def test_36_names_with_capitals_spaces_dashes_and_quotes_go_all_the_way(*, superuser: bool) -> None:
    with field("01", database="Papers NG-2", owner='Owner "of" it-2', superuser=superuser) as made:
        assert made.backup().code == Exit.OK
        drilled = made.drill()
        restored = made.restore()
        # psql reads names as SQL does: only in quotes do they keep their capitals and spaces.
        with made.recovered(login='Owner ""of"" it-2') as again:
            assert again.said.code == 0, again.said.text
            assert again.rows == {"parcel": 2}

    assert drilled.code == Exit.OK
    # A superuser's table in a database of somebody else is given to that one, and named.
    assert restored.code == (Exit.DATA_REFUSED if superuser else Exit.OK), restored.text
    assert words('TABLE public.parcel: belongs to Owner "of" it-2, not to postgres', restored) == superuser


def test_38_the_login_of_an_app_that_owns_nothing_itself_is_in_the_copy() -> None:
    with field("38", superuser=True) as made:
        assert made.by_owner().backup().code == Exit.OK
        drilled = made.drill()
        with made.recovered() as again:
            assert again.said.code == 0, again.said.text
            assert words(r"(?m)^ owner$", again.said), "step 8 lists it"
            with again.server.connect("field", "owner", "pw-of-the-login-after-recovery") as owner:
                assert owner.execute("SELECT current_user, count(*) FROM thing").fetchone() == ("field_owners", 1)

    assert drilled.code == Exit.OK, drilled.text


@pytest.mark.parametrize("major", [15, 18])
def test_41_a_database_that_lets_every_session_act_as_its_owner_and_ends_what_takes_long(major: int) -> None:
    with field("41", major=major, superuser=True) as made:
        assert made.backup().code == Exit.OK
        drilled = made.drill()
        restored = made.restore()
        beside = made.restored()
        with made.recovered(login="postgres") as again:
            assert again.said.code == 0, again.said.text
            assert "ERROR" not in again.said.text.replace('ERROR:  role "postgres" already exists', "")
            fresh = again.rows
            with again.server.connect() as connection:
                asked = connection.execute("SELECT has_parameter_privilege('owner', 'session_replication_role', 'SET')")
                assert asked.fetchone() == (True,)

    assert drilled.last.startswith("DRILL PASS field/database/nas: 2 tables, 1 rows"), drilled.text
    assert (drilled.code, restored.code) == (Exit.OK, Exit.DATA_REFUSED), restored.text
    assert words(r"superuser: TABLE public\.administered: belongs to owners, not to postgres: ", restored)
    assert words(r"differs: 1 differences", restored)
    assert beside == fresh == {"administered": 0, "thing": 1}
