# SPDX-License-Identifier: GPL-3.0-or-later
"""What a drill does is what docs/recovery.md tells a person to type."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from fanout.contract.errors import DataRefused
from fanout.sources.postgresql import client, steps
from fanout.sources.postgresql.globals import read_globals

GUIDE = (Path(__file__).parents[6] / "docs/recovery.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "text",
    [
        f"export PGOPTIONS='{steps.OPTIONS} {steps.ITSELF}'",
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


NAME, TEXT = '"a ""b"" ö;"', "'it''s; \\'"
STATEMENTS = [
    "",
    "-- a comment",
    'CREATE ROLE "app" WITH NOSUPERUSER LOGIN CONNECTION LIMIT 5;',
    f"CREATE ROLE {NAME} WITH LOGIN VALID UNTIL '2027-01-01 00:00:00+00';",
    f"ALTER ROLE {NAME} SET \"search_path\" TO 'a', E'it''s \\\\ \\n';",
    f'GRANT "a" TO {NAME} WITH ADMIN TRUE, SET FALSE;',
    f'GRANT SET ON PARAMETER "log_statement" TO {NAME} WITH GRANT OPTION;',
]
FOREIGN = [
    'CREATE ROLE "a_thief" WITH NOSUPERUSER; \\! id',
    "\\! id",
    " -- \n\\! id",
    'CREATE ROLE "a" WITH LOGIN; DROP DATABASE app;',
    "CREATE ROLE a WITH LOGIN;",
    'ALTER ROLE "a" SET "x" TO E\'\\\'; \\! id\';',
    'ALTER ROLE "a" WITH SUPERUSER;',
    'GRANT "a" TO "b"; GRANT "c" TO "d";',
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
    assert len(read_globals("\n".join(STATEMENTS) + "\n")) == 5
    assert passes(STATEMENTS, tmp_path)


@pytest.mark.parametrize("line", FOREIGN)
def test_a_foreign_statement_about_roles_passes_neither_drill_nor_guide(line: str, tmp_path: Path) -> None:
    with pytest.raises(DataRefused):
        read_globals(f"{STATEMENTS[2]}\n{line}\n")
    assert not passes([STATEMENTS[2], line], tmp_path)
