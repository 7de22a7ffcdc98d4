# SPDX-License-Identifier: GPL-3.0-or-later
"""What a drill does is what docs/recovery.md tells a person to type."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from fanout.contract.errors import DataRefused
from fanout.sources.postgresql import client, steps
from fanout.sources.postgresql.globals import HEADER, read_globals

GUIDE = (Path(__file__).parents[6] / "docs/recovery.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "text",
    [
        f"export PGOPTIONS='{steps.OPTIONS} {client.ITSELF}'",
        *(f"/{pattern}/p" for pattern in steps.LINES.values()),
        *(f"{part}.list" for part in (steps.DATABASE, steps.SCHEMAS, steps.CONTENT, steps.EVENT_TRIGGERS)),
        "\n".join(steps.ROLES),
        client.ENDING,
        steps.NEEDS,
        steps.EXTENSIONS,
        steps.SEARCH_PATH_SET,
        steps.SEARCH_PATH_RESET,
    ],
)
def test_the_guide_has_the_very_text_that_drill_and_restore_use(text: str) -> None:
    assert text in GUIDE


def test_the_guide_restores_the_parts_in_the_drill_s_order() -> None:
    order = [GUIDE.index(f"--use-list={part}.list") for part in steps.parts([])]
    assert order == sorted(order)


NAME = '"a ""b"" ö;"'
NOTHING = "NOSUPERUSER INHERIT NOCREATEROLE NOCREATEDB NOLOGIN NOREPLICATION NOBYPASSRLS"
STATEMENTS = [
    "",
    HEADER,
    f'CREATE ROLE "app" WITH {NOTHING} CONNECTION LIMIT 5;',
    'CREATE ROLE "all" WITH SUPERUSER NOINHERIT CREATEROLE CREATEDB LOGIN REPLICATION BYPASSRLS;',
    f"CREATE ROLE {NAME} WITH {NOTHING} VALID UNTIL '2027-01-01 00:00:00+00';",
    f"ALTER ROLE {NAME} SET \"search_path\" TO 'a', E'it''s \\\\ \\n';",
    f'GRANT "a" TO {NAME};',
    f'GRANT "a" TO {NAME} WITH ADMIN OPTION;',
    f'GRANT "a" TO {NAME} WITH INHERIT TRUE, SET FALSE;',
    f'GRANT "a" TO {NAME} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE;',
    f'GRANT SET ON PARAMETER "log_statement" TO {NAME} WITH GRANT OPTION;',
]
FOREIGN = [
    f'CREATE ROLE "a_thief" WITH {NOTHING}; \\! id',
    "\\! id",
    " -- \n\\! id",
    "-- a comment",
    "--\r\\! id",
    f'CREATE ROLE "a" WITH {NOTHING}; DROP DATABASE app;',
    f"CREATE ROLE a WITH {NOTHING};",
    f'CREATE ROLE "a" WITH {NOTHING} IN ROLE POSTGRES ROLE OWNER;',
    'CREATE ROLE "a" WITH IN ROLE POSTGRES;',
    'ALTER ROLE "a" SET "x" TO E\'\\\'; \\! id\';',
    'ALTER ROLE "a" WITH SUPERUSER;',
    'GRANT "a" TO "b"; GRANT "c" TO "d";',
    'GRANT "a" TO "b" WITH ADMIN OPTION GRANTED BY POSTGRES;',
    "ALTER SYSTEM SET archive_command TO 'id';",
    'GRANT ALL ON DATABASE "a" TO "b";',
]


def passes(lines: list[str], tmp_path: Path) -> bool:
    """Whether the guide's own grep lets a roles' file through to psql."""
    (tmp_path / "statements").write_text("\n".join(steps.ROLES) + "\n")
    (tmp_path / "roles.sql").write_text("\n".join(lines) + "\n")
    command = "env LC_ALL=C grep -avE --file=statements roles.sql"
    assert command.removesuffix("roles.sql") in GUIDE
    return subprocess.run(("bash", "-c", command), cwd=tmp_path, capture_output=True, check=False).returncode == 1


def test_what_a_backup_writes_about_roles_passes_drill_and_guide(tmp_path: Path) -> None:
    assert len(read_globals("\n".join(STATEMENTS) + "\n")) == len(STATEMENTS) - 2
    assert passes(STATEMENTS, tmp_path)


@pytest.mark.parametrize("line", FOREIGN)
def test_a_foreign_statement_about_roles_passes_neither_drill_nor_guide(line: str, tmp_path: Path) -> None:
    with pytest.raises(DataRefused):
        read_globals(f"{STATEMENTS[2]}\n{line}\n")
    assert not passes([STATEMENTS[2], line], tmp_path)
