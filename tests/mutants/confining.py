# SPDX-License-Identifier: GPL-3.0-or-later
"""Mistakes in who reaches what: keys, secrets, jobs, the judge."""

from __future__ import annotations

from .mutant import END, LIBRARY, POSTGRESQL, UNIT, Mutant

CONFINING = (
    Mutant(
        name="the writer's key may delete",
        file=f"{LIBRARY}/contract/key_file.py",
        original='WRITER_CAPABILITIES = ("listFiles", "readFiles", "writeFiles")',
        mutated='WRITER_CAPABILITIES = ("deleteFiles", "listFiles", "readFiles", "writeFiles")',
        tests=(f"{END}/test_keys.py::test_a_key_is_minted_for_the_prefix_alone_and_stored_for_its_owner_alone",),
        harm="who breaks into the app's machine deletes its history",
    ),
    Mutant(
        name="the prefix loses its slash",
        file=f"{LIBRARY}/actions/keys.py",
        original="return KeySpec(thread.base, thread.bucket, bucket_id, thread.prefix, client.account().s3_endpoint)",
        mutated="return KeySpec(\n        thread.base, thread.bucket, bucket_id, thread.prefix.rstrip('/'),"
        " client.account().s3_endpoint\n    )",
        tests=(f"{END}/test_keys.py::test_the_stored_key_writes_below_its_prefix_and_nowhere_else",),
        harm="the key of `app` reaches the backups of `app-two`",
    ),
    Mutant(
        name="what B2 made is not compared with what was asked",
        file=f"{LIBRARY}/actions/minting.py",
        original='_difference(created.key.scope, spec.scope) or ("name" if created.key.name != name else "")',
        mutated='"name" if created.key.name != name else ""',
        tests=(f"{UNIT}/actions/test_minting.py",),
        harm="a key that reaches the whole account is stored",
    ),
    Mutant(
        name="check mode mints",
        file=f"{LIBRARY}/actions/minting.py",
        original="        if roll_out.check_mode:\n            return KeyChange(before, _foreseen(",
        mutated="        if not spec.base:\n            return KeyChange(before, _foreseen(",
        tests=(f"{END}/test_keys.py::test_check_mode_mints_nothing_and_says_what_it_would_do",),
        harm="--check makes keys",
    ),
    Mutant(
        name="a replaced key dies at once",
        file=f"{LIBRARY}/actions/minting.py",
        original="if roll_out.now - key.since < grace)",
        mutated="if roll_out.now < key.since)",
        tests=(f"{END}/test_keys.py::test_a_rotation_keeps_the_old_key_until_no_run_can_use_it",),
        harm="a rotation breaks the run that is under way",
    ),
    Mutant(
        name="a secret shows in a repr",
        file=f"{LIBRARY}/contract/key_file.py",
        original="    secret: str = field(repr=False)\n",
        mutated="    secret: str\n",
        tests=(f"{END}/test_keys.py",),
        harm="the first traceback or debug line prints the key",
    ),
    Mutant(
        name="the account's key is not hidden from output",
        file=f"{LIBRARY}/wiring/b2.py",
        original='"account_key": {"type": "str", "no_log": True,',
        mutated='"account_key": {"type": "str", "no_log": False,',
        tests=(f"{END}/test_keys.py::test_no_output_of_ansible_ever_shows_a_secret",),
        harm="-vvv prints the key of the whole account",
    ),
    Mutant(
        name="the account's key reaches the jobs",
        file=f"{LIBRARY}/platforms/host/command.py",
        original='_ENVIRONMENT = ("PATH", "HOME", "TMPDIR", "TZ")',
        mutated='_ENVIRONMENT = ("PATH", "HOME", "TMPDIR", "TZ", "B2_APPLICATION_KEY")',
        tests=(f"{UNIT}/platforms/host/test_command.py::test_the_command_gets_no_key_of_an_account",),
        harm="every app's job could read the key of the whole account",
    ),
    Mutant(
        name="a command without a result is a success",
        file=f"{LIBRARY}/platforms/command_result.py",
        original="    if exit_code == 0 and result:\n",
        mutated="    if exit_code == 0:\n",
        tests=(f"{UNIT}/platforms/host/test_command.py::test_a_command_without_a_result_never_counts_as_success",),
        harm="a wrapper that does nothing and exits 0 is a backup",
    ),
    Mutant(
        name="private files can be read by all",
        file=f"{LIBRARY}/local/files.py",
        original="            temporary.replace(path)\n",
        mutated="            temporary.chmod(0o644)\n            temporary.replace(path)\n",
        tests=(f"{UNIT}/local/test_files.py",),
        harm="any user of the machine reads passwords and identities",
    ),
    Mutant(
        name="a key beside the certificates is copied with them",
        file=f"{LIBRARY}/local/certificates.py",
        original="in _CERTIFICATE.findall(text)",
        mutated="in [text]",
        tests=(f"{END}/test_certificates.py::test_a_key_beside_the_certificates_stays_where_it_is",),
        harm="the database server's private key lies in every column and in a ConfigMap",
    ),
    Mutant(
        name="what a function raises is shown",
        file=f"{POSTGRESQL}/sqlstates.py",
        original="function in _RAISE or file in _LANGUAGES",
        mutated="False",
        tests=(f"{END}/test_login.py::test_a_reason_names_objects_and_never_a_value_of_a_row",),
        harm="a row of a user's data stands in the log of a backup",
    ),
    Mutant(
        name="a login that changed counts as proved",
        file=f"{LIBRARY}/platforms/probe_record.py",
        original=" and not after <= before",
        mutated=" and not before",
        tests=(
            f"{UNIT}/platforms/kubernetes/test_plan.py"
            "::test_whatever_changes_of_a_login_takes_its_proof_away_and_nothing_else_does",
        ),
        harm="a roll-out is green with a login that no backup can use",
    ),
    Mutant(
        name="scratch of a living run is swept",
        file=f"{LIBRARY}/local/scratch.py",
        original="fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)",
        mutated="os.fstat(lock)",
        tests=(
            f"{UNIT}/local/test_scratch.py::test_the_folder_of_a_run_that_is_alive_is_never_touched_however_old_it_is",
        ),
        harm="one thread's run takes away another's dump while it is uploaded",
    ),
    Mutant(
        name="the programs of a killed run go on",
        file=f"{LIBRARY}/local/scratch.py",
        original='kill -9 "${file%/*}" && found=yes',
        mutated=":",
        tests=(f"{UNIT}/local/test_scratch.py::test_no_program_of_a_run_outlives_it_when_it_is_killed",),
        harm="a restore that was killed fills a database that nobody watches any more",
    ),
    Mutant(
        name="the judge forgets hosts without a result",
        file=f"{LIBRARY}/wiring/judgement.py",
        original="failing = {*lost, *(host for host",
        mutated="failing = {*(host for host",
        tests=(f"{UNIT}/wiring/test_judgement.py",),
        harm="an app that fell out of the play is counted as backed up",
    ),
)
