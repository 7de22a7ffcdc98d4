# SPDX-License-Identifier: GPL-3.0-or-later
"""A look through a tree of folders that others change meanwhile.

`Path.glob` ends with FileNotFoundError when a folder goes away while it looks; this goes on without it. As there, a
folder that may not be read is passed over, too, and any other error is raised: what was not seen is not absent."""

from __future__ import annotations

import fnmatch
import os
from pathlib import Path


def below(folder: Path, pattern: str) -> list[Path]:
    """The files and folders below `folder`, however deep, whose names match `pattern`."""
    return [
        Path(parent, name)
        for parent, folders, files in os.walk(folder, onerror=_unless_gone)
        for name in fnmatch.filter([*folders, *files], pattern)
    ]


def _unless_gone(error: OSError) -> None:
    if not isinstance(error, (FileNotFoundError, PermissionError)):
        raise error
