# SPDX-License-Identifier: GPL-3.0-or-later
"""An inventory in which every app but one has another fault, and what these apps need of the sandbox."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

import psycopg

from fanout.contract.errors import ConfigurationError
from fanout.sources.postgresql import client
from tests.sandbox.b2.account import Account
from tests.sandbox.state import Sandbox, Server
from tests.support.playbooks import folder_of

from .pooler import PROGRAM, pgbouncer

PASSWORD = "the-password-of-troubled-databases"
WRONG_PASSWORD = "certainly-not-the-password"
PASTED_IDENTITY = "AGE-SECRET-KEY-1" + "Q" * 58
NOT_THE_ACCOUNTS_KEY = "K004-of-an-account-that-is-not-ours"
SECRETS = (PASSWORD, WRONG_PASSWORD, PASTED_IDENTITY, NOT_THE_ACCOUNTS_KEY)
BUCKET, RULED = "estate", "estate-with-rules"

# What the server's superuser makes of three databases whose owner is the login, so that it cannot read all in them.
_FAULTS = {
    "table": "CREATE TABLE secret_notes (id int)",
    "object": "SELECT lo_create(4242)",
    "rows": "CREATE TABLE hidden_rows (id int); ALTER TABLE hidden_rows OWNER TO troubled;"
    " ALTER TABLE hidden_rows ENABLE ROW LEVEL SECURITY; ALTER TABLE hidden_rows FORCE ROW LEVEL SECURITY",
}


class Estate:
    """The folder of the estate, below the sandbox's, and the variables of its apps."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.folder = folder_of(sandbox) / "estate"
        self.columns, self.nas_folder, self.scratch = (self.folder / name for name in ("columns", "nas", "scratch"))
        self.forgejo = sandbox.apps["forgejo"]
        self.server: Server = sandbox.postgresql[self.forgejo.server]
        self.nas = {"nas": {"kind": "directory", "path": str(self.nas_folder)}}
        self.b2 = self.bucket(BUCKET)

    def bucket(self, name: str) -> dict[str, Any]:
        """A destination at the sandbox's Backblaze."""
        return {"b2": {"kind": "b2", "bucket": name, "api_url": self.sandbox.b2.api_url}}

    def refused(self) -> dict[str, dict[str, Any]]:
        """Apps that the roll-out refuses as a whole."""
        return {
            "misspelt": {"app_databse_port": 5432},
            "mistyped": {"app_database_port": "5432"},
            "Not_A_Label": {},
            "unowned": {"app_recovery_recipients": []},
            "exposed": {"app_recovery_recipients": [PASTED_IDENTITY]},
            "garbled": {"app_recovery_recipients": ["age1" + "q" * 58]},
            "seven-hours": {"app_period": "7h"},
            "unknown-kind": {"app_destinations": {"off-site": {"kind": "bb2", "bucket": BUCKET}}},
            "misspelt-bucket": {"app_destinations": {"off-site": {"kind": "b2", "buckt": BUCKET}}},
            "no-label-prefix": {"app_prefix": "../forgejo/"},
            "outer": {"app_prefix": "shared/"},
            "inner": {"app_prefix": "shared/inner/"},
            "twin": {},
            "impostor": {"app_prefix": "twin/"},
        }

    def rolled_out_in_part(self) -> dict[str, dict[str, Any]]:
        """Apps that get their thread to the NAS, and not the one to Backblaze."""
        return {
            "ruled": {"app_destinations": self.nas | self.bucket(RULED)},
            "ruled-too": {"app_destinations": self.nas | self.bucket(RULED)},
            "foreign-account": {
                "app_destinations": self.nas | self.b2,
                "b2_account_key_id": "0040123456789ab0000000001",
                "b2_account_key": NOT_THE_ACCOUNTS_KEY,
            },
        }

    def troubled(self, poolers: dict[str, int]) -> dict[str, dict[str, Any]]:
        """Apps with good variables, whose backup to the NAS finds the fault."""
        login = {"app_database_user": "troubled", "app_database_password": PASSWORD}
        return {
            "no-database": {"app_database": "nothing-here"},
            "wrong-password": {"app_database_password": WRONG_PASSWORD},
            "unreadable-table": {"app_database": "troubled_table", **login},
            "unreadable-object": {"app_database": "troubled_object", **login},
            "hidden-rows": {"app_database": "troubled_rows", **login},
            "newer": {},
            **({} if _has_client(self.server.major) else {"no-client": {"app_database_binaries": ["/nonexistent"]}}),
            **{name: {"app_database_port": port} for name, port in poolers.items()},
        }

    def keyed(self) -> dict[str, dict[str, Any]]:
        """Apps whose thread to Backblaze gets another key than the roll-out gave it."""
        return {name: {"app_destinations": self.nas | self.b2} for name in ("foreign-key", "master-key", "wide-key")}

    def inventory(self, apps: dict[str, dict[str, Any]]) -> dict[str, Any]:
        """An inventory of these apps beside forgejo, which has no fault."""
        database = self.forgejo
        policy = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "app_database": database.database,
            "app_database_host": self.server.host,
            "app_database_port": self.server.port,
            "app_database_user": database.user,
            "app_database_password": database.password,
            "app_database_binaries": [self.server.binaries],
            "app_destinations": self.nas,
            "app_recovery_recipients": [self.sandbox.recovery.recipient],
            "app_host_directory": str(self.columns),
            "app_scratch_directory": str(self.scratch),
            "b2_account_key_id": self.sandbox.b2.application_key_id,
            "b2_account_key": self.sandbox.b2.application_key,
        }
        good = {"forgejo": {"app_destinations": self.nas | self.b2}}
        return {"apps": {"vars": policy, "hosts": good | apps}}


def _has_client(major: int) -> bool:
    """Whether the machine itself has what has to be missing."""
    try:
        client.find(major, ())
    except ConfigurationError:
        return False
    return True


@contextlib.contextmanager
def estate(sandbox: Sandbox) -> Iterator[tuple[Estate, dict[str, int]]]:
    """Yield the estate and the ports of its poolers by app."""
    made = Estate(sandbox)
    made.nas_folder.mkdir(parents=True)
    made.scratch.mkdir()
    made.folder.chmod(0o711)
    b2 = sandbox.b2
    rule = {"fileNamePrefix": "photos/", "daysFromHidingToDeleting": 1}
    Account(b2.api_url, b2.application_key_id, b2.application_key).call(
        "b2_create_bucket", bucketName=RULED, bucketType="allPrivate", lifecycleRules=[rule]
    )
    with contextlib.ExitStack() as stack:
        stack.enter_context(_databases(made.server))
        poolers = {
            name: stack.enter_context(pgbouncer(made.server, made.forgejo, lenient=lenient))
            for name, lenient in (("pooled", False), ("pooled-leniently", True))
            if PROGRAM
        }
        yield made, poolers


@contextlib.contextmanager
def _databases(server: Server) -> Iterator[None]:
    """The databases of `_FAULTS`, gone afterwards: other tests use the same server."""
    with _superuser(server, "postgres") as connection:
        connection.execute(f"CREATE ROLE troubled LOGIN PASSWORD '{PASSWORD}'")
        for fault, script in _FAULTS.items():
            connection.execute(f"CREATE DATABASE troubled_{fault} OWNER troubled")
            with _superuser(server, f"troubled_{fault}") as inside:
                inside.execute(script)
    try:
        yield
    finally:
        with _superuser(server, "postgres") as connection:
            for fault in _FAULTS:
                connection.execute(f"DROP DATABASE troubled_{fault} WITH (FORCE)")
            connection.execute("DROP ROLE troubled")


def _superuser(server: Server, database: str) -> psycopg.Connection[Any]:
    return psycopg.connect(
        host=server.host, port=server.port, dbname=database, user=server.superuser,
        password=server.superuser_password, connect_timeout=10, autocommit=True,
    )  # fmt: skip
