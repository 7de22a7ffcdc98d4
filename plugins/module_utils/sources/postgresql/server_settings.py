# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes a scratch server one (a login that no live server has, no network, no care for its data, nothing that runs
by itself), and what makes it like the source's."""

from __future__ import annotations

import re

from ...contract.evidence import PostgresqlEvidence
from ...contract.source import PostgresqlSource

# Names that no live database or login has: what runs here cannot be mistaken for production, and the app's own
# "postgres" can be restored beside them.
SUPERUSER = "fanout_drill"
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
    # The app's jobs (pg_cron and its like), and the workers of its subscriptions, are background workers: none starts.
    "max_worker_processes": "0",
    "max_logical_replication_workers": "0",
}

# Settings of the source's server that decide how values are read, written or computed. A copy is hostile until it is
# proven, so that no other name is taken from it.
_LIKE_THE_SOURCE = (
    "array_nulls", "backslash_quote", "bytea_output", "datestyle", "default_text_search_config",
    "default_toast_compression", "extra_float_digits", "intervalstyle", "standard_conforming_strings", "timezone",
    "transform_null_equals", "xmlbinary", "xmloption",
)  # fmt: skip
_EVENT_TRIGGERS = 17  # the major that lets a superuser turn them off, those that fire at a login among them
_LIBRARY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


def libraries(source: PostgresqlSource, evidence: PostgresqlEvidence) -> tuple[str, ...]:
    """Return the libraries that a scratch server loads at its start, in the source's order: those that the source's
    server loads for an extension of the database, and those that the inventory adds.

    A server's other libraries watch it, and are often not installed where it is drilled.
    """
    known = {name.lower() for name in evidence.extensions}
    wanted = [name for name in evidence.preload if name.lower() in known]
    return tuple(name for name in dict.fromkeys((*wanted, *source.preload)) if _LIBRARY.fullmatch(name))


def configuration(source: PostgresqlSource, evidence: PostgresqlEvidence) -> str:
    """Return lines for the postgresql.conf of a scratch server that is like the source's."""
    settings = {"shared_preload_libraries": ",".join(libraries(source, evidence))}
    for name, value in evidence.settings.items():
        if name.lower() in _LIKE_THE_SOURCE and value.isprintable():
            settings[name.lower()] = value
    if evidence.major >= _EVENT_TRIGGERS:
        settings["event_triggers"] = "off"
    if "pg_cron" in evidence.extensions:
        settings["cron.database_name"] = source.database
    return "".join(f"{name} = {_quoted(value)}\n" for name, value in settings.items())


def _quoted(value: str) -> str:
    """A value as postgresql.conf writes it."""
    escaped = value.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"
