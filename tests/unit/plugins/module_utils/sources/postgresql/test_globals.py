# SPDX-License-Identifier: GPL-3.0-or-later
"""The globals file is read as strictly as it is written."""

from __future__ import annotations

import pytest

from fanout.contract.errors import DataRefused
from fanout.sources.postgresql.globals import HEADER, read_globals

NOTHING = "NOSUPERUSER INHERIT NOCREATEROLE NOCREATEDB NOLOGIN NOREPLICATION NOBYPASSRLS"
OURS = [
    (f'CREATE ROLE "owner" WITH {NOTHING} CONNECTION LIMIT 3;', "owner"),
    (f"CREATE ROLE \"app\" WITH {NOTHING} VALID UNTIL '2031-05-06 05:08:09.000000+00';", "app"),
    ('CREATE ROLE "a" WITH SUPERUSER NOINHERIT CREATEROLE CREATEDB LOGIN REPLICATION BYPASSRLS;', "a"),
    (r"""ALTER ROLE "a" SET "x.y" TO E'two\nlines';""", "a"),
    ('ALTER ROLE "a ""b""" SET "search_path" TO \'public\', \'it\'\'s\';', 'a "b"'),
    (r"""ALTER ROLE "a" SET "x.y" TO E'back\\slash';""", "a"),
    ('GRANT "reader" TO "writer";', "writer"),
    ('GRANT ALTER SYSTEM ON PARAMETER "work_mem" TO "writer" WITH GRANT OPTION;', "writer"),
    ('GRANT "reader" TO "writer" WITH ADMIN OPTION;', "writer"),
    ('GRANT "reader" TO "writer" WITH INHERIT TRUE, SET FALSE;', "writer"),
    ('GRANT "reader" TO "writer" WITH ADMIN TRUE, INHERIT FALSE, SET TRUE;', "writer"),
]


@pytest.mark.parametrize(("line", "role"), OURS)
def test_each_kind_of_statement_names_the_role_that_it_makes_or_changes(line: str, role: str) -> None:
    (statement,) = read_globals(f"{HEADER}\n{line}\n")

    assert (statement.role, statement.sql) == (role, line)


@pytest.mark.parametrize(
    "line",
    [
        "DROP ROLE owner;",
        f'CREATE ROLE "x" WITH {NOTHING}; DROP DATABASE forgejo;',
        'ALTER ROLE "x" SET "a" TO \'b\'; DROP DATABASE forgejo;',
        f"CREATE ROLE \"x\" WITH {NOTHING} PASSWORD 'y';",
        r"""ALTER ROLE "x" SET "a" TO E'\', '; DROP DATABASE forgejo; --';""",
        rf"""CREATE ROLE "x" WITH {NOTHING} VALID UNTIL E'\'; DROP DATABASE forgejo; --';""",
        'GRANT "a" TO "b", "c";',
        'GRANT SELECT ON PARAMETER "work_mem" TO "writer";',
        "ALTER SYSTEM SET archive_command TO 'x';",
        "-- another comment",
        *(
            f'CREATE ROLE "x" WITH {NOTHING} {more};'
            for more in (
                "IN ROLE POSTGRES",
                "IN ROLE POSTGRES ROLE OWNER",
                "IN GROUP POSTGRES",
                "ROLE OWNER",
                "USER OWNER",
                "ADMIN OWNER",
                "PASSWORD NULL",
                "SYSID 10",
                "SUPERUSER",
                "CONNECTION LIMIT 3 SUPERUSER",
            )
        ),
        'CREATE ROLE "x" WITH LOGIN;',
        'GRANT "a" TO "b" WITH ADMIN TRUE, INHERIT TRUE, SET TRUE GRANTED BY POSTGRES;',
        'GRANT "a" TO "b" WITH ADMIN OPTION GRANTED BY POSTGRES;',
    ],
)
def test_any_other_statement_is_refused_also_behind_one_of_ours(line: str) -> None:
    with pytest.raises(DataRefused):
        read_globals(line)
