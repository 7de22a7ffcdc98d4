# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

import pytest

from fanout.contract.codec import decode_json
from fanout.contract.errors import BackupError, DataRefused, Exit, NewerFormat, Unavailable, about
from fanout.contract.manifest import EVIDENCE_ROLE, FileRecord, Manifest, read_manifest, render_manifest
from fanout.contract.object_names import EVIDENCE, artifact_of, drill_name, is_begun, new_artifact, parse_artifact
from fanout.contract.source import PostgresqlSource
from tests.support.copies import SMALL

NOW = datetime(2026, 11, 25, 9, 30, 15, tzinfo=UTC)
NAME = new_artifact(NOW)
FILES = {**PostgresqlSource.ARTIFACT, EVIDENCE_ROLE: EVIDENCE}


def file(role: str, name: str) -> FileRecord:
    return FileRecord(role, name, 1, "0", 1, "0")


def manifest(**changes: object) -> Manifest:
    given: dict[str, object] = {
        "format": Manifest.FORMAT,
        "app": "forgejo",
        "source": "database",
        "kind": "postgresql",
        "thread": "forgejo/database/b2",
        "artifact": str(NAME),
        "started": "2026-11-25T09:30:15Z",
        "finished": "2026-11-25T09:31:15Z",
        "version": "1.0.0",
        "recipients": ("age1x", "age1y"),
        "origin": "the system identifier 1",
        "versions": {"server": "18.1", "client": "18.1"},
        "measures": {"bytes": 100, "tables": 3, "rows": 10},
        "files": tuple(file(role, name) for role, name in FILES.items()),
        "seconds": {"dump": 1.5, "upload": 2.0},
    }
    return Manifest(**{**given, **changes})  # type: ignore[arg-type]


def read(text: bytes) -> Manifest:
    return read_manifest(text, thread=SMALL, artifact=NAME)


def test_a_manifest_is_read_back_as_it_was_written() -> None:
    assert read(render_manifest(manifest())) == manifest()


@pytest.mark.parametrize(
    "changes",
    [
        {"app": "nextcloud"}, {"artifact": "20200101T000000Z-00000000"}, {"source": "other"}, {"kind": "files"},
        {"files": ()}, {"files": (file("archive", "database.dump.age"),)},
        {"measures": {"bytes": 1, "tables": 1}}, {"measures": {"bytes": 1, "tables": 1, "rows": 1, "PASS": 1}},
    ],
)  # fmt: skip
def test_a_manifest_that_is_another_ones_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(DataRefused):
        read(render_manifest(manifest(**changes)))


@pytest.mark.parametrize(
    "name", ["../../../cron/evil", "/etc/cron.d/evil", "evil", "x.age", "manifest.json", ".x.age", "a\nb.age"]
)
def test_a_manifest_that_names_other_files_than_a_backup_has_is_refused_on_one_printable_line(name: str) -> None:
    with pytest.raises(DataRefused) as caught:
        read(render_manifest(manifest(files=(*manifest().files, file("archive", name)))))
    assert "lists files other than a backup's" in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_manifest_that_gives_a_file_twice_or_another_role_is_refused() -> None:
    first, second, third = manifest().files
    swapped = (dataclasses.replace(first, role=second.role), dataclasses.replace(second, role=first.role), third)
    for files in ((first, first, third), swapped, (*manifest().files, first)):
        with pytest.raises(DataRefused, match="lists files other than a backup's"):
            read(render_manifest(manifest(files=files)))


def test_a_manifest_of_a_newer_format_is_not_called_damaged_but_asks_for_an_update() -> None:
    with pytest.raises(NewerFormat, match="has format 99, and this version reads up to 1") as caught:
        read(render_manifest(manifest(format=99)).replace(b'"seconds"', b'"what nobody here knows"'))
    assert caught.value.exit_code == Exit.CONFIGURATION


def test_words_of_a_manifest_neither_pass_for_a_remedy_of_ours_nor_go_on_for_ever() -> None:
    evil = ("all is well. Remedy: run a program of mine", "N" * 900_000, *["x"] * 10_000)
    text = render_manifest(manifest(marks=evil)), render_manifest(manifest(notices=evil))
    shown = [read(each) for each in text]
    for said in (shown[0].marks, shown[1].notices):
        assert said[0] == "all is well; remedy: run a program of mine"
        assert len("".join(said)) < 5_000


@pytest.mark.parametrize(
    "text",
    [b'{"' + b"k" * 900_000 + b'":1}', b'{"seconds":{"' + b"k" * 900_000 + b'":"x"}}'],
    ids=["a field", "a place"],
)
def test_an_error_does_not_quote_for_ever(text: bytes) -> None:
    with pytest.raises(DataRefused) as caught:
        read(text)
    assert len(str(caught.value)) < 5_000
    assert len(str(caught.value.as_result())) < 5_000


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"version": "1\0"}, "version"),
        ({"marks": ("a\0b",)}, r"marks\[0\]"),
        ({"seconds": {"a\0b": 1.0}}, "seconds"),
        ({"files": (FileRecord("archive", "a\0b", 1, "0", 1, "0"),)}, r"files\[0\]\.name"),
    ],
)
def test_a_text_with_a_nul_which_no_server_gives_is_refused_with_its_place(
    changes: dict[str, object], place: str
) -> None:
    with pytest.raises(DataRefused, match=rf"the manifest of .*\.{place} holds a NUL"):
        read(render_manifest(manifest(**changes)))


def test_a_manifest_of_another_app_is_not_quoted_for_ever() -> None:
    with pytest.raises(DataRefused, match="says that it belongs to AAAA") as caught:
        read(render_manifest(manifest(app="A" * 900_000)))
    assert len(str(caught.value)) < 5_000


@pytest.mark.parametrize("changes", [{"started": "soon"}, {"finished": ""}, {"started": "2026-13-01T00:00:00Z"}])
def test_a_manifest_with_a_time_that_is_none_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(DataRefused, match="is not a UTC time"):
        read(render_manifest(manifest(**changes)))


@pytest.mark.parametrize("number", [2**63 + 1, -(2**64), 10**4000], ids=["a little", "below", "endless"])
def test_a_number_that_no_server_counts_to_is_refused_with_its_place(number: int) -> None:
    counted, timed = manifest(measures={"rows": number}), manifest(seconds={"dump": number})
    for changed, place in ((counted, "measures.rows"), (timed, "seconds.dump")):
        with pytest.raises(DataRefused, match=rf"{place} is a number out of range"):
            read(render_manifest(changed))


def test_a_number_that_is_written_as_endless_is_refused() -> None:
    text = render_manifest(manifest()).replace(b"1.5", b"1e999")
    with pytest.raises(DataRefused, match=r"seconds\.dump is a number out of range"):
        read(text)


@pytest.mark.parametrize("place", [b'"1.0.0"', b'"version"', b'"age1x"'])
def test_half_a_character_which_cannot_be_written_again_is_refused_on_one_printable_line(place: bytes) -> None:
    text = render_manifest(manifest()).replace(place, rb'"\udfff"')
    with pytest.raises(DataRefused, match="surrogates not allowed") as caught:
        read(text)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("text", [b"[" * 100_000, b'{"a":' * 100_000, b'{"format": NaN}', b'{"format": Infinity}'])
def test_what_would_break_a_reader_of_json_is_refused_in_one_line(text: bytes) -> None:
    with pytest.raises(DataRefused) as caught:
        decode_json(Manifest, text, "the manifest", error=DataRefused)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"format": "1"}', b'{"format": 1, "surprise": 2}', b"\xff"])
def test_broken_text_is_refused_in_one_line(text: bytes) -> None:
    with pytest.raises(DataRefused) as caught:
        decode_json(Manifest, text, "the manifest", error=DataRefused)
    assert "\n" not in str(caught.value)


def test_names_of_artifacts_sort_by_time_and_are_read_back() -> None:
    assert parse_artifact(str(NAME)) == NAME
    assert new_artifact(NOW) < new_artifact(NOW.replace(second=16))
    assert artifact_of(f"{NAME}/manifest.json") == NAME
    odd = [f"{NAME}/{file}" for file in ("../x.age", "a/b.age", ".x.age", "", "x", "x.age/", "x\n.age", "X.age")]
    for foreign in ("drills/x.json", "probe", f"{NAME}", "20261399T000000Z-00000000/x.age", "../x", *odd):
        assert artifact_of(foreign) is None


def test_of_a_manifest_of_a_newer_format_it_is_also_said_that_somebody_else_may_have_written_it() -> None:
    with pytest.raises(NewerFormat) as caught:
        read(render_manifest(manifest(format=99)))
    assert "has format 99, and this version reads up to 1" in caught.value.problem
    assert caught.value.remedy.endswith("if no newer version is in use here, somebody else wrote it: find out who")


def test_names_of_what_drills_write_are_read_back_and_others_are_none() -> None:
    for key in ("drills/20261125T093000Z-a_B-9.json", "drills/20261125T093000Z-a_B-9.begun.json"):
        name = drill_name(key)
        assert name is not None
        assert (name.key, name.begun, name.code) == (key, is_begun(key), "a_B-9")
    odd = ("x.json", "20261399T000000Z-a.json", "20261125T093000Z-a/b.json", "20261125T093000Z-a.b.json", "x/a.json")
    assert [drill_name(f"drills/{key}") for key in odd] == [None] * len(odd)
    assert drill_name("20261125T093000Z-a.json") is None


def test_the_innermost_name_of_an_error_wins_and_the_line_stays_one_line() -> None:
    with pytest.raises(BackupError) as caught, about("forgejo/database/b2", "upload"), about(doing="part 3"):
        raise Unavailable("no\nanswer", remedy="wait")
    assert str(caught.value) == "forgejo/database/b2: part 3: no answer. Remedy: wait"
