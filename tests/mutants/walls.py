# SPDX-License-Identifier: GPL-3.0-or-later
"""Mistakes in what holds against an app's owner, a thief of a key and whoever writes to the NAS."""

from __future__ import annotations

from .mutant import END, LIBRARY, POSTGRESQL, UNIT, Mutant

WALLS = (
    Mutant(
        name="a verdict needs no signature",
        file=f"{LIBRARY}/actions/verdicts.py",
        original="if not ours or not is_signed(record.signed, record.signature, thread.verifier):",
        mutated="if not ours:",
        tests=(
            f"{UNIT}/actions/test_freshness.py::test_a_verdict_that_no_drill_has_signed_does_not_count_and_is_told",
        ),
        harm="a thief of the key opens the gate with one small file",
    ),
    Mutant(
        name="a verdict may have any name",
        file=f"{LIBRARY}/actions/verdicts.py",
        original="        if name is not None and is_given(name, thread):\n            found",
        mutated="        if name is not None:\n            found",
        tests=(
            f"{UNIT}/actions/test_freshness.py"
            "::test_names_that_no_drill_gave_are_told_by_number_and_what_lies_there_is_never_read",
        ),
        harm="a thief of the key stores small files until no look ends any more",
    ),
    Mutant(
        name="a scratch server shares the machine's network and processes",
        file=f"{LIBRARY}/local/confinement.py",
        original='"--unshare-all", "--unshare-user", ',
        mutated='"--unshare-user", ',
        tests=(
            f"{END}/test_confinement.py"
            "::test_a_program_that_a_copy_starts_sees_neither_files_nor_network_nor_processes_of_the_machine",
        ),
        harm="an app's owner reads what the machine's programs were told",
    ),
    Mutant(
        name="folders of a destination are reached through links",
        file=f"{LIBRARY}/destinations/folder.py",
        original="_FOLDER | os.O_NOFOLLOW, dir_fd",
        mutated="_FOLDER, dir_fd",
        tests=(f"{UNIT}/destinations/test_directory.py",),
        harm="a hostile NAS names the folder whose files root purges",
    ),
    Mutant(
        name="a manifest may name any file",
        file=f"{LIBRARY}/contract/manifest.py",
        original="    if sorted((file.role, file.name) for file in manifest.files) != sorted(wanted.items()):\n",
        mutated="    if not wanted:\n",
        tests=(f"{UNIT}/contract/test_codec.py",),
        harm="a thief writes files on the machine that drills",
    ),
    Mutant(
        name="the password is given to whoever asks for it",
        file=f"{POSTGRESQL}/client.py",
        original='AUTHENTICATION = "scram-sha-256,gss,sspi,none"',
        mutated='AUTHENTICATION = "password,scram-sha-256,gss,sspi,none"',
        tests=(f"{END}/test_login.py::test_a_password_is_never_sent_to_whoever_asks_for_it",),
        harm="who poses as the server has the app's password",
    ),
    Mutant(
        name="another owner is no matter",
        file=f"{LIBRARY}/destinations/owner.py",
        original="    if found == wanted:\n        return\n",
        mutated="    if found is not None:\n        return\n",
        tests=(f"{UNIT}/destinations/test_owner.py", f"{UNIT}/destinations/test_directory.py"),
        harm="two control nodes retire each other's copies",
    ),
    Mutant(
        name="what a thief hid was retired by us",
        file=f"{LIBRARY}/actions/history.py",
        original="found |= batch.difference(not_kept(",
        mutated="found |= batch.intersection(not_kept(",
        tests=(f"{UNIT}/actions/test_history.py",),
        harm="history goes away and nobody is told",
    ),
    Mutant(
        name="the latest version is the run's",
        file=f"{LIBRARY}/actions/history.py",
        original="return [_tries(versions, thread)[-1] for",
        mutated="return [versions[-1] for",
        tests=(f"{END}/test_recover_history.py",),
        harm="what a thief stored over a copy is restored",
    ),
    Mutant(
        name="what was stored over a copy is deleted unseen",
        file=f"{LIBRARY}/actions/recover_history.py",
        original="            if sha256_of(target) != file.sha256:\n",
        mutated="            if not target.exists():\n",
        tests=(f"{END}/test_recover_history.py",),
        harm="the only whole version of a copy goes for good",
    ),
    Mutant(
        name="who restores is a superuser",
        file=f"{POSTGRESQL}/guest.py",
        original="LOGIN INHERIT NOSUPERUSER ",
        mutated="LOGIN INHERIT SUPERUSER ",
        tests=(f"{END}/test_restore_by_guest.py::test_code_of_an_app_s_owner_takes_nothing_through_any_entrance",),
        harm="an app's owner owns the live server once his app is restored",
    ),
)
