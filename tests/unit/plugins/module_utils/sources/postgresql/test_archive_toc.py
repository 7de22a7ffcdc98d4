# SPDX-License-Identifier: GPL-3.0-or-later
"""Headers and tables of contents that are unusual, foreign or damaged."""

from __future__ import annotations

from datetime import datetime

import pytest

from fanout.contract.errors import DataRefused, Exit
from fanout.sources.postgresql.archive import ArchiveReader, Contents
from fanout.sources.postgresql.archive_toc import NewerArchive

from .synthetic import COMPRESSION, VERSION, entry, header, integer, table, text, toc

ROWS = table(b"1\ttea\n", b"\\.\n\n\n")


def read(archive: bytes) -> Contents:
    reader = ArchiveReader(digests=True)
    reader.feed(archive)
    return reader.finish()


def test_the_smallest_archive_is_read() -> None:
    contents = read(header() + toc(entry()) + ROWS)
    assert contents.header.version == (1, 16, 0)
    assert contents.header.created == datetime(2024, 2, 29, 23, 58, 59)
    assert contents.tables[1].rows == 1


@pytest.mark.parametrize("position", [*range(12), *range(12, 42, 5)])
def test_a_wrong_byte_at_the_front_is_refused(position: int) -> None:
    # Magic, version, sizes, format and compression; then the sign of each number of the time of creation.
    archive = bytearray(header() + toc(entry()) + ROWS)
    archive[position] ^= 0xFF
    # A version of 255 may be a later one, for all that is known.
    with pytest.raises(NewerArchive if VERSION <= position < VERSION + 3 else DataRefused):
        read(bytes(archive))


@pytest.mark.parametrize(
    ("position", "value", "problem"),
    [
        (VERSION + 1, 13, "its version is 1.13.0"),
        (COMPRESSION, 2, "it is compressed with lz4"),
        (COMPRESSION, 4, "its compression method is 4"),
        (COMPRESSION - 1, 3, "its format is 3, not 1"),
    ],
)
def test_what_is_not_supported_is_named(position: int, value: int, problem: str) -> None:
    archive = bytearray(header() + toc(entry()) + ROWS)
    archive[position] = value
    with pytest.raises(DataRefused, match=problem) as caught:
        read(bytes(archive))
    assert "pg_dump 12 to 18" in caught.value.remedy


@pytest.mark.parametrize(("position", "value", "version"), [(VERSION + 1, 17, "1.17.0"), (VERSION, 2, "2.16.0")])
def test_a_version_that_came_later_is_no_fault_of_the_archive(position: int, value: int, version: str) -> None:
    archive = bytearray(header() + toc(entry()) + ROWS)
    archive[position] = value
    with pytest.raises(NewerArchive, match=f"does not know archives of version {version}") as caught:
        read(bytes(archive))
    assert caught.value.exit_code == Exit.CONFIGURATION
    assert "update fanout.backup" in caught.value.remedy


def test_an_impossible_time_of_creation_is_refused() -> None:
    archive = header().replace(integer(29), integer(30)) + toc(entry()) + ROWS
    with pytest.raises(DataRefused, match="its time of creation is impossible"):
        read(archive)


def test_a_leap_second_is_a_time() -> None:
    archive = header().replace(integer(59), integer(60)) + toc(entry()) + ROWS
    assert read(archive).header.created.second == 59


@pytest.mark.parametrize("count", [b"", integer(0), integer(-1)])
def test_an_archive_without_table_of_contents_is_refused(count: bytes) -> None:
    with pytest.raises(DataRefused, match="reading the table of contents"):
        read(header() + count)


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        (entry(section=5), "section 5"),
        (entry(relkind=300), "relkind 300"),
        (entry(oid=b"x1"), "'x1' where a number belongs"),
        (entry(oid="\N{ARABIC-INDIC DIGIT ONE}".encode()), "where a number belongs"),
        (entry(oid=b""), "where a number belongs"),
        (entry(dependencies=(b"7", b"-1")), "'-1' where a number belongs"),
        (entry(dump_id=0), "the dump id 0"),
        (entry(dump_id=7), "the dump id 7"),
        (entry(description=b"NEWS"), "NEWS public.users carries data of an unknown kind"),
        (entry(copy_statement=b""), "not COPY text"),
        (entry(copy_statement=None), "not COPY text"),
        (entry(copy_statement=b"\\! id > /tmp/seen FROM stdin;\n"), "not COPY text"),
        (entry(copy_statement=b"COPY public.users FROM stdin; DROP TABLE x; COPY a.b FROM stdin;\n"), "not COPY text"),
        (entry(copy_statement=b"COPY (SELECT 1) TO PROGRAM 'id'; COPY a.b FROM stdin;\n"), "not COPY text"),
        (entry(copy_statement=b"COPY a.b TO PROGRAM 'id'; -- FROM stdin;\n"), "not COPY text"),
        (integer(1) + b"\2", "a number has the sign 2"),
    ],
)
def test_an_entry_that_makes_no_sense_is_refused(bad: bytes, problem: str) -> None:
    with pytest.raises(DataRefused, match=problem):
        read(header() + toc(entry(dump_id=7), bad) + bytes(20))


def test_a_length_beyond_reason_is_refused_at_once_and_not_waited_for() -> None:
    reader = ArchiveReader()
    with pytest.raises(DataRefused, match="claims to be 4294967295 bytes long"):
        reader.feed(header() + integer(1) + entry()[:10] + integer(2**32 - 1))


def test_dependencies_and_relkind_are_read() -> None:
    contents = read(header() + toc(entry(dependencies=(b"7", b"12"), relkind=ord("p"))) + ROWS)
    assert contents.entries[0].dependencies == (7, 12)
    assert contents.entries[0].relkind == "p"
    assert contents.entries[0].tablespace == ""


def test_names_in_another_encoding_keep_their_bytes_and_can_be_printed() -> None:
    latin = "müsli".encode("latin-1")
    archive = header() + toc(entry(tag=latin, copy_statement=b'COPY public."' + latin + b'" FROM stdin;\n'))
    with pytest.raises(DataRefused) as caught:
        read(archive)
    assert b"m\\udcfcsli" in str(caught.value).encode()
    found = read(archive + ROWS).entries[0]
    assert found.copy_out_statement.encode(errors="surrogateescape") == b'COPY public."' + latin + b'" TO stdout;'


def test_the_header_may_arrive_byte_by_byte() -> None:
    reader = ArchiveReader()
    for byte in header() + toc(entry()):
        assert reader.toc is None
        reader.feed(bytes([byte]))
    assert reader.toc is not None


def test_version_1_14_has_a_level_instead_of_a_method() -> None:
    def old(level: int) -> bytes:
        front = header()
        # Up to 1.15 there is no relkind, the integer before the owner.
        without = entry().replace(integer(0) + text(b"owner"), text(b"owner"))
        return front[:6] + b"\x0e" + front[7:COMPRESSION] + integer(level) + front[12:] + toc(without)

    assert read(old(0) + ROWS).header.compression == "none"
    for level in (-1, 1, 9):
        with pytest.raises(DataRefused, match="wrong compressed data"):
            read(old(level) + ROWS)
    with pytest.raises(DataRefused, match="its compression level is 10"):
        read(old(10) + ROWS)
