# SPDX-License-Identifier: GPL-3.0-or-later
"""What an artifact of this kind consists of, and what is counted of it."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

from ...contract.evidence import PostgresqlEvidence
from ...contract.source import PostgresqlSource
from ...local.streams import read_text
from ..base import Decrypted

# Roles of files.
ARCHIVE, GLOBALS = "archive", "globals"
# Measures, beside bytes: tables whose rows the archive carries, and those rows.
TABLES, ROWS = PostgresqlSource.MEASURES

Copy: TypeAlias = Decrypted[PostgresqlSource, PostgresqlEvidence]


def archive_of(copy: Copy) -> Path:
    """Return the archive, decrypted."""
    return copy.files[ARCHIVE]


def globals_of(copy: Copy) -> str:
    """Return the statements about roles. Raise DataRefused if the file is no text, or too large for one."""
    return read_text(copy.files[GLOBALS])
