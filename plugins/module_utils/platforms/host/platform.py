# SPDX-License-Identifier: GPL-3.0-or-later
"""Platform `host`: the machine that runs the playbook, where systemd starts the command `fanout` for each thread."""

from __future__ import annotations

from .acts import ask, backup, columns, drill, info, probe, restore
from .keys import key_store, key_stores
from .roll_out import absent, present

__all__ = [
    "absent",
    "ask",
    "backup",
    "columns",
    "drill",
    "info",
    "key_store",
    "key_stores",
    "present",
    "probe",
    "restore",
]
