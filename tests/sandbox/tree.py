# Copyright: (c) fanout.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A look through a tree of folders that others change meanwhile.

`Path.glob` ends with FileNotFoundError when a folder goes away while it looks; `os.walk` goes on without it."""

from __future__ import annotations

import fnmatch
import os
from pathlib import Path


def below(folder: Path, pattern: str) -> list[Path]:
    """The files and folders below `folder`, however deep, whose names match `pattern`."""
    return [
        Path(parent, name)
        for parent, folders, files in os.walk(folder)
        for name in fnmatch.filter([*folders, *files], pattern)
    ]
