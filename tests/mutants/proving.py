# SPDX-License-Identifier: GPL-3.0-or-later
"""Mistakes in how a backup is proven: drill and freshness."""

from __future__ import annotations

from .mutant import END, LIBRARY, POSTGRESQL, UNIT, Mutant


def _damage(name: str) -> str:
    return f"{END}/test_drill.py::test_a_damaged_copy_fails_by_name_and_nothing_else_is_reported[{name}]"


PROVING = (
    Mutant(
        name="a drill does not compare sha256",
        file=f"{LIBRARY}/unpack.py",
        original="if sha256_of(target) != record.sha256:",
        mutated="if not sha256_of(target):",
        tests=(f"{END}/test_backup.py::test_a_flipped_bit_fails_the_drill_by_its_digest",),
        harm="of files that a drill does not decrypt nobody knows whether they are as they were",
    ),
    Mutant(
        name="evidence of another backup is accepted",
        file=f"{LIBRARY}/unpack.py",
        original="if (evidence.app, evidence.artifact) != (manifest.app, manifest.artifact):",
        mutated="if evidence.app != manifest.app:",
        tests=(f"{END}/test_proof.py::test_the_evidence_of_another_backup_is_refused",),
        harm="an old copy under a new name passes its drill",
    ),
    Mutant(
        name="a manifest of another app is accepted",
        file=f"{LIBRARY}/contract/manifest.py",
        original="if manifest.app != app or manifest.artifact != str(artifact):",
        mutated="if not manifest.app or not manifest.artifact:",
        tests=(f"{UNIT}/contract/test_record.py",),
        harm="a copy that somebody moved counts as a fresh one",
    ),
    Mutant(
        name="a restore that complains passes",
        file=f"{POSTGRESQL}/restore.py",
        original="said.splitlines()[0])] if said else []",
        mutated="said.splitlines()[0])] if said.startswith(chr(0)) else []",
        tests=(f"{END}/test_proof.py::test_a_restore_that_complains_fails_the_drill_although_it_ended_well",),
        harm="what pg_restore left out with a warning is taken for restored",
    ),
    Mutant(
        name="sequences are not compared",
        file=f"{POSTGRESQL}/verify.py",
        original="        findings += compare.sequences(connection, contents)\n",
        mutated="",
        tests=(_damage("D11 a sequence starts anew"),),
        harm="a restored app hands out numbers a second time",
    ),
    Mutant(
        name="the schema is not compared",
        file=f"{POSTGRESQL}/verify.py",
        original="    restored = schemas.restored()\n",
        mutated="    restored = whole.entries\n",
        tests=(_damage("D08 an index is dropped"),),
        harm="indexes, keys, grants and triggers may be missing from a copy that passed",
    ),
    Mutant(
        name="a definition that is printed otherwise is the same without a look at the reference",
        file=f"{POSTGRESQL}/schema.py",
        original="    if again == found:\n",
        mutated="    if again is not None:\n",
        tests=(f"{UNIT}/sources/postgresql/test_schema.py",),
        harm="a changed view, check or policy passes",
    ),
    Mutant(
        name="what could not be parsed once more is taken for the same",
        file=f"{POSTGRESQL}/schema.py",
        original="    if again is None:\n        return None\n",
        mutated='    if again is None:\n        return ""\n',
        tests=(f"{UNIT}/sources/postgresql/test_schema.py",),
        harm="nobody learns that an object was not compared",
    ),
    Mutant(
        name="definitions with passwords are shown",
        file=f"{POSTGRESQL}/definitions.py",
        original="    if description in _CONFIDENTIAL:\n",
        mutated="    if not description:\n",
        tests=(f"{UNIT}/sources/postgresql/test_schema.py",),
        harm="the password of a foreign server stands in the drill's output",
    ),
    Mutant(
        name="the second database stays",
        file=f"{POSTGRESQL}/reference.py",
        original='"DROP DATABASE IF EXISTS {quoted(name)} WITH (FORCE)"',
        mutated='"SELECT {literal(name)}"',
        tests=(
            f"{END}/test_schema_reference.py::test_beside_a_live_database_it_is_made_by_an_owner_and_gone_afterwards",
        ),
        harm="each restore beside the live database leaves one more",
    ),
    Mutant(
        name="the database's own properties are not compared",
        file=f"{POSTGRESQL}/verify.py",
        original="    findings += database.differences(whole.entries, restored, target.source.database)\n",
        mutated="",
        tests=(f"{END}/test_whole_database.py::test_the_owner_of_the_database_is_compared",),
        harm="settings, grants and limits may be lost",
    ),
    Mutant(
        name="roles are only counted",
        file=f"{POSTGRESQL}/verify.py",
        original='return [Finding("role", name, said) for name, said in found], []',
        mutated="return [], []",
        tests=(f"{END}/test_whole_database.py::test_attributes_settings_and_memberships_of_roles_are_compared",),
        harm="a role comes back with other rights",
    ),
    Mutant(
        name="rows that users keep in extensions' tables are not compared",
        file=f"{POSTGRESQL}/rows.py",
        original="self._evidence.tables.get(table, self._evidence.configuration.get(table))",
        mutated="self._evidence.tables.get(table)",
        tests=(f"{END}/test_whole_database.py::test_rows_that_users_keep_in_an_extension_s_table_are_compared",),
        harm="jobs of pg_cron or one's own projections of PostGIS are lost",
    ),
    Mutant(
        name="only rows are counted, what is in them is not compared",
        file=f"{POSTGRESQL}/rows.py",
        original="            self._sum += hash(first) + sum(map(hash, lines))\n",
        mutated="            self._sum = 0 * hash(first)\n",
        tests=(_damage("D04 a float moves by its last digit"),),
        harm="changed data pass",
    ),
    Mutant(
        name="rows that psql could not read to their end count as read",
        file=f"{POSTGRESQL}/read_back.py",
        original="if (code := process.wait()) != 0:",
        mutated="if (code := process.wait()) < 0:",
        tests=(f"{END}/test_drill.py::test_large_tables_are_read_through_psql_to_the_same_end",),
        harm="the reason why a table cannot be read is lost",
    ),
    Mutant(
        name="what could not run counts as passed",
        file=f"{LIBRARY}/drill.py",
        original='result, reason, code = "inconclusive",',
        mutated='result, reason, code = "pass",',
        tests=(f"{END}/test_backup.py::test_a_drill_without_the_servers_programs_condemns_nothing",),
        harm="a machine that cannot drill proves every copy",
    ),
    Mutant(
        name="findings do not fail a drill",
        file=f"{LIBRARY}/drill.py",
        original="        if state.findings:\n",
        mutated="        if not state:\n",
        tests=(_damage("D07 a table is emptied"),),
        harm="a drill lists what is damaged and says PASS",
    ),
    Mutant(
        name="a hidden newest backup passes",
        file=f"{LIBRARY}/drill.py",
        original="        if at is None:\n",
        mutated="        if at is not None:\n",
        tests=(
            f"{END}/test_backup.py::test_a_hidden_newest_backup_is_found_all_the_same_and_its_hiding_fails_the_drill",
        ),
        harm="somebody with a stolen key hides backups, and every drill passes until they are purged",
    ),
    Mutant(
        name="the verdict tells in clear what differs",
        file=f"{LIBRARY}/drill.py",
        original='reason=verdict.reason if verdict.result == "inconclusive" else ""',
        mutated="reason=verdict.reason",
        tests=(f"{END}/test_proof.py::test_what_is_stored_of_a_failed_drill_names_nothing_in_clear",),
        harm="whoever reads the bucket learns names of tables and people",
    ),
    Mutant(
        name="foreign statements in the roles' file are run",
        file=f"{POSTGRESQL}/globals.py",
        original="        if match is None:\n",
        mutated='        match = match or re.match(r"CREATE ROLE (?P<made>\\w+)(?P<set>)(?P<member>)", line)\n'
        "        if match is None:\n",
        tests=(f"{END}/test_proof.py::test_roles_that_somebody_else_wrote_are_refused_and_not_run",),
        harm="whoever can write to the bucket runs SQL as superuser where it is restored",
    ),
    Mutant(
        name="the scratch server listens to the network",
        file=f"{POSTGRESQL}/server_settings.py",
        original='"listen_addresses": ""',
        mutated='"listen_addresses": "127.0.0.1"',
        tests=(f"{END}/test_proof.py::test_the_scratch_server_listens_to_no_network",),
        harm="during each drill the app's data can be reached by whoever is on the network",
    ),
    Mutant(
        name="freshness believes the name",
        file=f"{LIBRARY}/freshness.py",
        original="min(artifact.name.time, artifact.manifest.modified + _SKEW)",
        mutated="artifact.name.time",
        tests=(f"{UNIT}/test_freshness.py",),
        harm="one forged name keeps a dead thread fresh for ever",
    ),
)
