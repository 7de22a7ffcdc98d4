# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables that the contract does not know, because they are not the app's: they steer one run, or a playbook."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Given:
    """A variable that the contract does not know. `type` as in an argument spec."""

    name: str
    type: str
    meaning: str


@dataclass(frozen=True)
class EntryPoint:
    """An entry point of a role: one line, the paragraphs below it, and what it may be told beside the variables."""

    summary: str
    description: tuple[str, ...]
    given: tuple[Given, ...]


_ONLY = Given(
    "app_only_destinations", "list", "Only these destinations; of a drill, instead of C(app_drill_destinations)."
)

# What the role's entry points may be told. Nothing of it belongs into an inventory.
ENTRY_POINTS: Mapping[str, EntryPoint] = {
    "main": EntryPoint(
        "Create the keys and the column of an app, or remove them",
        (
            "Mints one key for each thread to Backblaze B2, and writes thread files, passwords and timers.",
            "Proves what each new key reaches. A second run changes nothing.",
            "With C(app_state=absent) it stops the column and deletes its keys. Backups stay.",
        ),
        (Given("app_take_over", "bool", "Make prefixes and keys this column's that are another owner's or nobody's."),),
    ),
    "backup": EntryPoint(
        "Back up an app to all of its destinations now",
        (
            "Runs every thread of the app once, the way its timer does, and returns one result for each thread.",
            "A thread that fails does not stop the others.",
        ),
        (
            _ONLY,
            Given("app_accept_server", "bool", "Back up a server other than that of the newest backup, once."),
            Given("app_accept_shrink", "bool", "Take a much smaller database as the new normal."),
        ),
    ),
    "drill": EntryPoint(
        "Restore an app's backups into scratch and compare them",
        (
            "Fetches a backup of each drilled thread with the thread's own key and restores it into a scratch server.",
            "Compares everything in it with what was dumped. The live source is never changed.",
        ),
        (_ONLY, Given("app_drill_at", "str", "Newest backup of that UTC time or before, as 20261125T093000Z.")),
    ),
    "probe": EntryPoint(
        "Prove what an app's keys and its login can reach, and what they cannot",
        ("Tries each key below its own prefix, where it must work, and outside of it, where it must be refused.",),
        (
            _ONLY,
            Given("app_probe_login_only", "bool", "Prove only what the login reaches. Set by playbooks."),
            Given("app_probe_rolled_out_only", "bool", "Leave out threads that are not rolled out. Set by playbooks."),
            Given("app_probe_tamper", "bool", "Also prove that the keys cannot delete history."),
            Given(
                "app_probe_neighbours", "list", "Prefixes of other apps that must be out of reach. Set by playbooks."
            ),
        ),
    ),
    "info": EntryPoint(
        "Show an app's copies and how they were proven",
        ("Reads the destinations themselves and compares the column with the inventory. It changes nothing.",),
        (
            Given(
                "app_claimed", "list", "Names of all apps, to find columns that none of them claims. Set by playbooks."
            ),
        ),
    ),
    "node": EntryPoint(
        "Show what of an app's database is on a node of its cluster",
        ("Reads pods, claims and volumes, and changes nothing. C(gate.yml) with C(gate_node) calls it.",),
        (
            Given("app_node", "str", "Name of the node. Set by playbooks."),
            Given("app_longhorn_namespace", "str", "Where Longhorn is in the cluster. Set by playbooks."),
        ),
    ),
    "restore": EntryPoint(
        "Restore an app's backup beside the live source",
        (
            "Restores into a new database, which must not exist yet, and compares it with the backup's evidence.",
            "Returns the statements that switch to it.",
            "The live database is not touched. A failed restore leaves nothing behind.",
        ),
        (
            Given("app_restore_to", "str", "Name of the new database. Set by playbooks."),
            Given("app_restore_at", "str", "Newest backup of that UTC time or before. Set by playbooks."),
            Given("app_restore_only", "list", "Only these parts: tables, as schema.table. Set by playbooks."),
            Given("app_restore_source", "str", "Source of the backup, if the app has several. Set by playbooks."),
            Given(
                "app_restore_from",
                "str",
                "Destination of the backup. Default: the first that is drilled. Set by playbooks.",
            ),
        ),
    ),
    "ask": EntryPoint(
        "Ask an app's live source its drill queries",
        ("Returns the answers of today. C(revert.yml) calls it after a revert.",),
        (_ONLY,),
    ),
    "recover_history": EntryPoint(
        "Bring back what somebody else hid or overwrote at an app's destinations",
        (
            "Unhides the copies that C(app_keep) promises, and brings back first versions and verdicts.",
            "Reports what it could not bring back. In check mode it only reports what would come back.",
        ),
        (_ONLY,),
    ),
    "recovery_check": EntryPoint(
        "Let the owner prove that an offline recovery identity still decrypts",
        (
            "Without an answer it returns a challenge for each recipient in C(app_recovery_recipients).",
            "With an answer it records the time at which that recipient answered.",
        ),
        (Given("app_recovery_answer", "str", "The decrypted text of a challenge. Set by playbooks."),),
    ),
}

_SERVERS = Given("longhorn_servers", "dict", "All servers of the inventory and their apps. Set by playbooks.")

# The same for the role of servers.
LONGHORN_ENTRY_POINTS: Mapping[str, EntryPoint] = {
    "main": EntryPoint(
        "Create the recurring snapshots of a server's volumes, or remove them",
        (
            "Creates the server's recurring jobs in Longhorn and labels its claims.",
            "All other jobs and groups of a volume are kept.",
            "With C(longhorn_state=absent) jobs and labels are removed; snapshots stay.",
        ),
        (_SERVERS,),
    ),
    "info": EntryPoint(
        "Show the snapshots of a server", ("Reads volumes, jobs and snapshots, and changes nothing.",), (_SERVERS,)
    ),
    "revert": EntryPoint(
        "Revert a server's volume, or give up a revert",
        (
            "Stops the server, reverts its volume to a snapshot and starts the server again.",
            "Every app on it goes back. Without all their names in C(longhorn_revert_confirm) it only shows the plan.",
            "Run it again if it was interrupted.",
        ),
        (
            _SERVERS,
            Given("longhorn_revert_to", "str", "What to revert to. Set by playbooks."),
            Given("longhorn_revert_confirm", "list", "All apps on the server. Set by playbooks."),
            Given("longhorn_revert_action", "str", "C(revert) or C(release). Set by playbooks."),
        ),
    ),
    "clone": EntryPoint(
        "Create a new volume from a snapshot of a server's volume",
        ("The server keeps running. It needs the snapshot controller of Kubernetes.",),
        (
            _SERVERS,
            Given("longhorn_clone_to", "str", "Name of the new claim. Set by playbooks."),
            Given("longhorn_clone_from", "str", "The snapshot. Set by playbooks."),
            Given("longhorn_clone_claim", "str", "Which of the server's claims. Set by playbooks."),
        ),
    ),
}

# What playbooks read beside the roles' variables.
OF_PLAYBOOKS = (
    Given(
        "b2_account_key_id", "str", "Id of the B2 account's key. Default: C(B2_APPLICATION_KEY_ID) of the environment."
    ),
    Given("b2_account_key", "str", "The B2 account's key. Default: C(B2_APPLICATION_KEY) of the environment."),
    Given("b2_purge_days", "int", "Days from retiring a backup to its deletion in buckets of B2. Default: 14."),
    Given(
        "b2_object_lock_days",
        "int",
        "Days for which nothing can delete a new backup. Default: Object Lock stays as it is.",
    ),
    Given("b2_shorten", "bool", "Take values of the two above that would shorten what a bucket promises."),
    Given("b2_rotate", "bool", "Mint new keys for all threads; the old ones end when no run can need them."),
    Given("b2_revoke", "bool", "End at once what was replaced: after a theft, together with C(b2_rotate)."),
    Given("gate_fresh", "str", "C(now) makes C(fanout.backup.gate) back up and drill before it judges."),
    Given(
        "gate_node",
        "str",
        "Name of a node of the cluster: C(fanout.backup.gate) judges the apps whose databases it has.",
    ),
    Given("restore_to", "str", "Name of the new database that C(fanout.backup.restore) makes."),
    Given("restore_at", "str", "It restores the newest backup of that UTC time or before, as 20261125T093000Z."),
    Given(
        "restore_only",
        "list",
        "It restores these parts only: tables, as schema.table. A string separates them by commas.",
    ),
    Given("restore_source", "str", "It restores this source. It must be set if the app has several."),
    Given("restore_from", "str", "It restores from this destination. Default: the first that is drilled."),
    Given("recovery_answer", "str", "What a challenge of C(fanout.backup.recovery_check) says when it is decrypted."),
    Given("revert_server", "str", "The server whose volume C(fanout.backup.revert) reverts, with every app on it."),
    Given(
        "revert_to",
        "str",
        "C(latest), a UTC time as 20261125T093000Z, the name of a snapshot, or C(before-revert) to undo the last one.",
    ),
    Given(
        "revert_confirm", "list", "Every app on that server; a string separates by commas. Without it, only the plan."
    ),
    Given("revert_action", "str", "C(release) gives up a revert that was not finished. Default: C(revert)."),
    Given("clone_server", "str", "The server of whose volume C(fanout.backup.clone) makes a copy."),
    Given("clone_to", "str", "Name of the new claim, beside the server's own."),
    Given("clone_from", "str", "The snapshot, as in C(revert_to). Default: C(latest)."),
    Given("clone_claim", "str", "Which of the server's claims. It must be given if there is more than one."),
)
