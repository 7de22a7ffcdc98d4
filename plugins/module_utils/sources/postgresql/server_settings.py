# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes a scratch server one: a login that no live server has, no network, and no care for its data."""

from __future__ import annotations

# Names that no live database or login has: what runs here cannot be mistaken for production, and the app's own
# "postgres" can be restored beside them.
SUPERUSER = "fanout_drill"
DATABASE = "fanout_drill_scratch"
# Holds what is ours in a restored database: a schema of its own, made before anything that the archive brings.
SCHEMA = "fanout_drill"

SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",  # its data outlive no crash, and need not
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "max_locks_per_transaction": "256",  # thousands of tables
    "max_wal_size": "4GB",
    "maintenance_work_mem": "256MB",
    "jit": "off",
    "log_min_messages": "warning",
    "max_connections": "20",
    "restart_after_crash": "off",
}
