# SPDX-License-Identifier: GPL-3.0-or-later
"""Mistakes in how backups are kept: retention and destinations."""

from __future__ import annotations

from .mutant import END, LIBRARY, UNIT, Mutant

KEEPING = (
    Mutant(
        name="not even the newest good ones stay",
        file=f"{LIBRARY}/actions/retention.py",
        original="kept = set(_through_sure(good[::-1], crowded, NEWEST_GOOD))",
        mutated="kept: set[ArtifactName] = set()",
        tests=(f"{UNIT}/actions/test_retention.py", f"{UNIT}/actions/test_retirement.py"),
        harm="with a short app_keep, a thread that ran once after a pause retires what it just made",
    ),
    Mutant(
        name="the last of a day is kept instead of the first",
        file=f"{LIBRARY}/actions/retention.py",
        original="_through_sure([artifact for artifact in artifacts if artifact not in bad], crowded)",
        mutated="_through_sure([artifact for artifact in artifacts if artifact not in bad][::-1], crowded)",
        tests=(f"{UNIT}/actions/test_retention.py",),
        harm="the kept one of a day changes with every run, and each is hidden and stored anew",
    ),
    Mutant(
        name="days without a backup take slots",
        file=f"{LIBRARY}/actions/retention.py",
        original="        if count <= 0:\n",
        mutated="        if (past[-1].time - artifacts[0].time).days >= count:\n",
        tests=(f"{UNIT}/actions/test_retention.py",),
        harm="the first run after a long pause retires everything from before it",
    ),
    Mutant(
        name="what is closer together than runs are is taken for ours",
        file=f"{LIBRARY}/actions/retention.py",
        original="other.time - one.time < period * 3 / 4",
        mutated="other.time < one.time",
        tests=(f"{UNIT}/actions/test_retention.py", f"{UNIT}/actions/test_retirement.py"),
        harm="one made-up copy a day makes our own runs hide the real ones",
    ),
    Mutant(
        name="one run retires without a bound",
        file=f"{LIBRARY}/actions/retirement.py",
        original="_MOST = 50 ",
        mutated="_MOST = 5000 ",
        tests=(f"{END}/test_retention.py::test_one_run_retires_no_more_than_fifty_the_oldest_first",),
        harm="one wrong number in app_keep hides a year of backups at once",
    ),
    Mutant(
        name="retention does not ask whether the new copy is there",
        file=f"{LIBRARY}/actions/retirement.py",
        original="if not _is_good(thread, destination, whole.get(name)):",
        mutated="if not whole:",
        tests=(f"{UNIT}/actions/test_retirement.py",),
        harm="a destination that forgets what it was given loses the old copies as well",
    ),
    Mutant(
        name="only the own clock says when to purge",
        file=f"{LIBRARY}/actions/retirement.py",
        original="destination.purge(min(now, whole[name].manifest.modified))",
        mutated="destination.purge(now)",
        tests=(
            f"{END}/test_retention.py::test_a_clock_that_runs_a_year_ahead_empties_no_destination_and_purges_nothing",
        ),
        harm="a clock that jumps ahead deletes for good what it retires",
    ),
    Mutant(
        name="the manifest is hidden last",
        file=f"{LIBRARY}/actions/artifacts.py",
        original="for stored in (*manifests, *others)]",
        mutated="for stored in (*others, *manifests)]",
        tests=(f"{UNIT}/actions/test_artifacts.py",),
        harm="a retirement that was interrupted leaves an artifact without its dump that looks whole",
    ),
    Mutant(
        name="the bucket's rule hides by age",
        file=f"{LIBRARY}/b2/bucket_settings.py",
        original="            _HIDES_BY_AGE: None,\n",
        mutated="            _HIDES_BY_AGE: 400,\n",
        tests=(
            f"{END}/test_retention.py::test_a_thread_that_stopped_two_years_ago_has_its_last_copies_and_goes_on_with_them",
        ),
        harm="a thread that died silently loses its last good copies",
    ),
    Mutant(
        name="another owner's prefix is taken for one's own",
        file=f"{LIBRARY}/destinations/owner.py",
        original="    if found == wanted:\n        return\n",
        mutated="    if found:\n        return\n",
        tests=(
            f"{UNIT}/destinations/test_directory.py::test_what_belongs_to_another_owner_is_neither_read_nor_written",
        ),
        harm="two control nodes write into one prefix, and each retires the other's copies",
    ),
    Mutant(
        name="what the disk kept is not read back",
        file=f"{LIBRARY}/destinations/directory.py",
        original='_compare(again, sha256, f"what the disk kept of {name}")',
        mutated="pass",
        tests=(f"{UNIT}/destinations/test_directory.py::test_what_the_disk_gives_back_differently_is_not_published",),
        harm="a dying disk takes every backup and gives none back",
    ),
    Mutant(
        name="the bucket's copy is not confirmed",
        file=f"{LIBRARY}/destinations/s3_upload.py",
        original='    _compare(found["ETag"], sent.etag, key)\n',
        mutated="",
        tests=(f"{UNIT}/destinations/test_s3_upload.py::test_a_copy_with_another_etag_is_refused",),
        harm="an upload that arrived damaged counts as a backup",
    ),
    Mutant(
        name="any refusal counts in a probe",
        file=f"{LIBRARY}/destinations/s3_probe.py",
        original='(answer.status, answer.code) == (403, "AccessDenied") and self.message in (None, answer.message)',
        mutated="answer.status == 403",
        tests=(f"{UNIT}/destinations/test_s3_probe.py::test_a_refusal_in_other_words_proves_nothing",),
        harm="a probe of a key with a wrong signature proves that it is confined",
    ),
    Mutant(
        name="a key may lead out of the prefix",
        file=f"{LIBRARY}/destinations/base.py",
        original='if any(part.startswith(".") or not part for part in parts)',
        mutated='if not key or any(part == "." for part in parts)',
        tests=(f"{UNIT}/destinations/test_base.py::test_a_key_that_leads_elsewhere_is_refused",),
        harm="a forged manifest writes anywhere on the machine that drills",
    ),
)
