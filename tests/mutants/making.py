# SPDX-License-Identifier: GPL-3.0-or-later
"""Mistakes in how a backup is made: the source, the dump, what is published."""

from __future__ import annotations

from .mutant import END, LIBRARY, POSTGRESQL, UNIT, Mutant

_NEVER_PUBLISHED = f"{END}/test_backup.py::test_a_dump_that_is_not_whole_is_never_published"

MAKING = (
    Mutant(
        name="a pooler is taken for the server",
        file=f"{POSTGRESQL}/connection.py",
        original="if pid != first.info.backend_pid:",
        mutated="if pid is None:",
        tests=(f"{END}/test_consistency.py::test_a_pooler_is_refused_whose_sessions_are_none_of_the_server",),
        harm="snapshot and dump of two sessions behind a pooler are two moments: a torn backup",
    ),
    Mutant(
        name="a service that moves is taken for one server",
        file=f"{POSTGRESQL}/connection.py",
        original="if identity != other:",
        mutated="if len(identity) != len(other):",
        tests=(f"{END}/test_consistency.py::test_a_service_that_moves_between_servers_is_refused",),
        harm="the count comes from one server and the dump from another",
    ),
    Mutant(
        name="the thread's lock is not looked at",
        file=f"{POSTGRESQL}/session.py",
        original="        if taken:\n",
        mutated="        if taken is not None:\n",
        tests=(
            f"{END}/test_backup.py::test_a_second_run_of_the_thread_names_the_holder_of_the_lock_and_touches_nothing",
        ),
        harm="two runs of one thread at once load the app twice and retire each other's work",
    ),
    Mutant(
        name="counts are not of the snapshot",
        file=f"{POSTGRESQL}/counting.py",
        original="SET TRANSACTION SNAPSHOT '{self._snapshot}';",
        mutated="",
        tests=(f"{END}/test_consistency.py::test_what_is_written_during_a_backup_is_neither_counted_nor_dumped",),
        harm="on a busy database every backup fails, or the evidence is of another moment than the dump",
    ),
    Mutant(
        name="counts and dump are not compared",
        file=f"{POSTGRESQL}/agreement.py",
        original="    if problem:\n",
        mutated="    if not problem and not counted:\n",
        tests=(f"{_NEVER_PUBLISHED}[it leaves out the rows of a table]",),
        harm="a dump that left out a table's rows is published as whole",
    ),
    Mutant(
        name="the source's transaction stays open during the upload",
        file=f"{POSTGRESQL}/session.py",
        original='self._connection.execute("ROLLBACK")',
        mutated='self._connection.execute("SELECT 1")',
        tests=(f"{END}/test_backup.py::test_while_the_upload_is_under_way_a_migration_goes_through_at_once",),
        harm="a slow destination holds back vacuum in the app's database, and the next CREATE INDEX CONCURRENTLY",
    ),
    Mutant(
        name="pg_dump's exit code is swallowed",
        file=f"{POSTGRESQL}/dump.py",
        original="        if code != 0:\n",
        mutated="        if code is None:\n",
        tests=(f"{_NEVER_PUBLISHED}[it fails after its last byte]",),
        harm="a dump that pg_dump itself calls failed is published",
    ),
    Mutant(
        name="what went away while pg_dump read is not noticed",
        file=f"{POSTGRESQL}/session.py",
        original="            moving.check(before, moving.catalogue(self._connection))\n",
        mutated="            moving.check({}, moving.catalogue(self._connection))\n",
        tests=(
            f"{END}/test_ddl_beside.py::test_a_function_that_goes_away_before_the_dump_is_in_no_copy_that_lacks_its_type",
        ),
        harm="a copy with CREATE FUNCTION f() RETURNS LANGUAGE sql, which cannot be restored, is called good",
    ),
    Mutant(
        name="counting takes as many locks as there are",
        file=f"{POSTGRESQL}/counting.py",
        original="+ relation.locks > _LOCKS:",
        mutated="+ relation.locks > _LOCKS**9:",
        tests=(
            f"{UNIT}/sources/postgresql/test_counting.py::test_no_batch_takes_more_locks_than_a_session_is_meant_to",
            f"{END}/test_counting.py::test_an_app_goes_on_asking_many_tables_while_a_backup_counts_and_dumps",
        ),
        harm="the app runs out of locks while its tables are counted",
    ),
    Mutant(
        name="large objects are not counted in the archive",
        file=f"{POSTGRESQL}/agreement.py",
        original="large_objects != len(contents.large_objects)",
        mutated="large_objects < 0",
        tests=(f"{END}/test_left_out.py::test_a_dump_with_fewer_large_objects_than_the_snapshot_is_no_backup",),
        harm="a dump without large objects is called good, since no table lacks a row",
    ),
    Mutant(
        name="what pg_dump warns of is dropped",
        file=f"{POSTGRESQL}/session.py",
        original="(*warnings, *dumped.warnings)",
        mutated="(*warnings,)",
        tests=(f"{END}/test_left_out.py::test_what_pg_dump_warns_of_is_a_warning_of_the_backup",),
        harm="what pg_dump leaves out is known to nobody",
    ),
    Mutant(
        name="members of the owner are no part of the copy",
        file=f"{POSTGRESQL}/catalog.py",
        original="  UNION SELECT m.member FROM pg_auth_members m JOIN owners ON owners.oid = m.roleid\n",
        mutated="  UNION SELECT m.member FROM pg_auth_members m JOIN owners ON owners.oid = m.roleid AND false\n",
        tests=(
            f"{END}/test_left_out.py::test_who_logs_in_as_a_member_of_the_owner_belongs_to_the_copy_and_so_does_a_role_with_a_right_here",
        ),
        harm="after the recovery the app has all of its rows and cannot log in",
    ),
    Mutant(
        name="an archive may lack blocks at its end",
        file=f"{POSTGRESQL}/archive.py",
        original="        if awaited:\n",
        mutated="        if not self._toc and awaited:\n",
        tests=(
            f"{UNIT}/sources/postgresql/test_archive.py::test_an_archive_without_its_last_block_names_what_is_missing",
        ),
        harm="an archive that was cut between two tables counts as whole",
    ),
    Mutant(
        name="large objects that may not be read are passed over",
        file=f"{POSTGRESQL}/rights.py",
        original="AND NOT pg_has_role(l.lomowner",
        mutated="AND pg_has_role(l.lomowner",
        tests=(f"{END}/test_backup.py::test_a_login_that_cannot_read_everything_makes_no_backup",),
        harm="the dump is found to be impossible only after everything was counted, in pg_dump's own words",
    ),
    Mutant(
        name="the manifest is published first",
        file=f"{LIBRARY}/actions/backup.py",
        original='        with phases.phase("upload", total=',
        mutated="        destination.put_bytes(name.key(MANIFEST), manifest_record.render_manifest(manifest))\n"
        '        with phases.phase("upload", total=',
        tests=(f"{END}/test_backup.py::test_the_manifest_comes_last",),
        harm="a run that dies while it uploads leaves what looks like a backup",
    ),
    Mutant(
        name="only the drill identity can decrypt",
        file=f"{LIBRARY}/contract/thread.py",
        original="return (self.drill, *self.recovery)",
        mutated="return (self.drill,)",
        tests=(f"{END}/test_backup.py::test_the_owners_offline_identity_alone_decrypts_every_file",),
        harm="when the machine is lost, so is every backup of it",
    ),
    Mutant(
        name="a run that shrank is not marked",
        file=f"{LIBRARY}/actions/backup.py",
        original="(before := previous.measures.get(measure, 0)) * (100 - percent)",
        mutated="(before := previous.measures.get(measure, 0)) * 0",
        tests=(f"{END}/test_backup.py::test_a_run_that_shrank_is_kept_and_marked_until_it_is_accepted",),
        harm="backups of an emptied database push out the good ones",
    ),
    Mutant(
        name="a run is compared with a marked one",
        file=f"{LIBRARY}/actions/backup.py",
        original="if not any(map(marking.is_of_size, manifest.marks))), None)",
        mutated="), None)",
        tests=(f"{END}/test_backup.py::test_a_run_that_shrank_is_kept_and_marked_until_it_is_accepted",),
        harm="an hour after a database was emptied, its backups count as normal",
    ),
    Mutant(
        name="the guard against shrinking gives up",
        file=f"{LIBRARY}/actions/backup.py",
        original="in artifacts.readable(destination, whole, thread))",
        mutated="in artifacts.readable(destination, whole[:10], thread))",
        tests=(
            f"{END}/test_marks.py::test_the_guard_looks_past_any_number_of_shrunken_runs_for_one_that_had_not_shrunk",
        ),
        harm="ten runs after a database was emptied, its backups have nothing to be compared with",
    ),
    Mutant(
        name="a run without a measure is good",
        file=f"{LIBRARY}/actions/backup.py",
        original="elif whole and not accept_shrink:",
        mutated="elif whole and accept_shrink is None:",
        tests=(
            f"{END}/test_marks.py::test_where_there_are_backups_but_none_that_is_a_measure_the_run_is_marked_until_it_is_accepted",
        ),
        harm="where no earlier backup can be read, an emptied database passes for a good one",
    ),
    Mutant(
        name="a marked run retires",
        file=f"{LIBRARY}/actions/backup.py",
        original="        if not marks:\n",
        mutated="        if marks is not None:\n",
        tests=(f"{END}/test_retention.py::test_neither_a_marked_nor_a_failed_run_retires_anything",),
        harm="an emptied database retires the copies from before",
    ),
    Mutant(
        name="what a failed upload sent stays in sight",
        file=f"{LIBRARY}/actions/backup.py",
        original="destination.retire(list(reversed(sent)))",
        mutated="destination.list()",
        tests=(f"{END}/test_retention.py::test_neither_a_marked_nor_a_failed_run_retires_anything",),
        harm="every failed run leaves a whole dump that is paid for",
    ),
    Mutant(
        name="a clock that lies behind is not noticed",
        file=f"{LIBRARY}/actions/backup.py",
        original="if newest.time > started + _FUTURE:",
        mutated="if newest.time > started + 9999 * _FUTURE:",
        tests=(
            f"{END}/test_consistency.py::test_a_clock_that_lies_behind_the_newest_backup_is_refused_before_anything_is_dumped",
        ),
        harm="all backups of a machine with a wrong clock get the time of one long ago plus seconds",
    ),
)
