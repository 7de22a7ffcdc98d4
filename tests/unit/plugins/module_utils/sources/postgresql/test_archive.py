# SPDX-License-Identifier: GPL-3.0-or-later
"""The reader against real archives of every supported version and compression, whole, cut and damaged."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import random
import re
import tracemalloc
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from fanout.contract.errors import DataRefused
from fanout.sources.postgresql.archive import END_OF_ROWS, ArchiveReader, Block, Contents
from fanout.sources.postgresql.archive_toc import VERSIONS
from tests.sandbox.postgresql import throwaway

from . import archives
from .archives import zstd
from .synthetic import chunks, entry, header, integer, large_objects, table, toc

MAJORS = {15: (1, 14, 0), 16: (1, 15, 0), 17: (1, 16, 0), 18: (1, 16, 0)}
BUILT_WITH_ZSTD = 17


@dataclass(frozen=True)
class Dumped:
    """One database: its archives by compression, and what the server and pg_restore say about it."""

    major: int
    by_compression: dict[str, bytes]
    schema_only: bytes
    inserts: bytes
    tables: dict[int, Block]
    large_objects: dict[int, Block]
    listing: str


@functools.cache
def dump(major: int) -> Dumped:
    with throwaway(major) as server:
        archives.create_database(server)
        plain = archives.dump(server, "--compress=0")
        by_compression = {"none": plain, "gzip": archives.dump(server, "--compress=1")}
        if major == BUILT_WITH_ZSTD:
            by_compression["zstd"] = archives.dump(server, "--compress=zstd:1")
        elif major >= 16:
            by_compression["zstd"] = archives.recompressed(plain)
        with server.connect(archives.DATABASE, options=archives.OPTIONS) as connection:
            entries = [entry for entry in read(plain).entries if entry.description == "TABLE DATA"]
            tables = {entry.dump_id: archives.table_of(connection, entry) for entry in entries}
            large_objects = archives.large_objects_of(connection)
        return Dumped(
            major=major,
            by_compression=by_compression,
            schema_only=archives.dump(server, "--schema-only"),
            inserts=archives.dump(server, "--inserts"),
            tables=tables,
            large_objects=large_objects,
            listing=archives.listing(server, plain),
        )


@pytest.fixture(params=MAJORS)
def dumped(request: pytest.FixtureRequest) -> Dumped:
    return dump(request.param)


@pytest.fixture
def archive(dumped: Dumped, request: pytest.FixtureRequest) -> bytes:
    return dumped.by_compression[request.param]


each_archive = pytest.mark.parametrize(
    ("dumped", "archive"),
    [
        (major, compression)
        for major in MAJORS
        for compression in ("none", "gzip", "zstd")
        if (major, compression) != (15, "zstd")
    ],
    indirect=True,
)  # pg_dump 15 knows no zstd


def read(archive: bytes, size: int = 65536, *, digests: bool = True) -> Contents:
    reader = ArchiveReader(digests=digests)
    for start in range(0, len(archive), size):
        reader.feed(archive[start : start + size])
    return reader.finish()


def test_every_supported_version_is_among_the_tested(dumped: Dumped) -> None:
    assert set(MAJORS.values()) == set(VERSIONS)
    assert read(dumped.schema_only).header.version == MAJORS[dumped.major]


@each_archive
def test_rows_sizes_and_digests_are_those_of_the_server(dumped: Dumped, archive: bytes) -> None:
    contents = read(archive)
    assert contents.tables == dumped.tables
    assert contents.large_objects == dumped.large_objects
    assert sum(block.rows for block in contents.tables.values()) > 5000
    assert len(contents.large_objects) == 1103


@each_archive
def test_without_digests_only_the_digests_are_missing(archive: bytes) -> None:
    full, counted = read(archive), read(archive, digests=False)
    for blocks, plain in ((full.tables, counted.tables), (full.large_objects, counted.large_objects)):
        assert plain == {key: Block(block.rows, block.size, None) for key, block in blocks.items()}


def test_the_header_tells_where_the_archive_comes_from(dumped: Dumped) -> None:
    for compression, archive in dumped.by_compression.items():
        header = read(archive).header
        assert (header.version, header.compression) == (MAJORS[dumped.major], compression)
        assert header.database == archives.DATABASE
        assert header.server_version.startswith(f"{dumped.major}.")
        assert header.client_version.startswith(f"{dumped.major}.")


def test_the_table_of_contents_is_the_one_that_pg_restore_lists(dumped: Dumped) -> None:
    listed = [line for line in dumped.listing.splitlines() if not line.startswith(";")]
    hidden = {"ENCODING", "STDSTRINGS", "SEARCHPATH", "DATABASE"}
    entries = [entry for entry in read(dumped.by_compression["none"]).entries if entry.description not in hidden]
    shown = [
        f"{e.dump_id}; {e.catalog_table} {e.catalog_oid} {e.description} {e.schema or '-'} {e.tag} {e.owner}"
        for e in entries
    ]
    assert shown == listed


def test_an_entry_knows_its_sql_its_place_and_its_dependencies(dumped: Dumped) -> None:
    entries = read(dumped.by_compression["none"]).entries
    by_name = {(entry.description, entry.tag): entry for entry in entries}
    users, data = by_name["TABLE", "users"], by_name["TABLE DATA", "users"]
    assert users.definition.startswith("CREATE TABLE public.users (")
    assert users.drop_statement == "DROP TABLE public.users;\n"
    assert (users.schema, users.section, users.table_access_method, users.has_data) == (
        "public",
        "pre-data",
        "heap",
        False,
    )
    assert users.relkind == ("r" if dumped.major >= 17 else None)
    assert (data.section, data.has_data, data.dependencies) == ("data", True, (users.dump_id,))
    assert data.copy_statement == "COPY public.users (id, name, feels, born) FROM stdin;\n"
    assert data.copy_out_statement == "COPY public.users (id, name, feels, born) TO stdout;"
    assert by_name["INDEX", "users_name_idx"].section == "post-data"
    assert data.label == "TABLE DATA public.users"


def test_only_the_end_of_a_copy_statement_is_turned_round(dumped: Dumped) -> None:
    statements = [entry.copy_out_statement for entry in read(dumped.by_compression["none"]).entries]
    assert 'COPY "Weird ""schema"""."end of; rows FROM stdin;" (t) TO stdout;' in statements


def test_an_archive_without_data_has_its_table_of_contents(dumped: Dumped) -> None:
    contents = read(dumped.schema_only)
    assert (contents.tables, contents.large_objects) == ({}, {})
    assert "CREATE VIEW" in "".join(entry.definition for entry in contents.entries)


@each_archive
def test_the_size_of_the_portions_makes_no_difference(archive: bytes) -> None:
    whole = read(archive, len(archive))
    chance = random.Random(1)
    reader = ArchiveReader(digests=True)
    position = 0
    while position < len(archive):
        # Now and then a long stretch, else single bytes and lengths around those of the fields.
        size = 200_000 if chance.random() < 0.02 else chance.randint(1, 40)
        reader.feed(archive[position : position + size])
        position += size
    assert reader.finish() == whole


@each_archive
def test_the_table_of_contents_is_there_before_the_data(archive: bytes) -> None:
    start = archives.data_offset(archive)
    reader = ArchiveReader()
    reader.feed(archive[: start - 1])
    assert reader.toc is None
    reader.feed(archive[start - 1 : start])
    assert reader.toc == read(archive).entries


@each_archive
def test_an_archive_cut_anywhere_is_refused(archive: bytes) -> None:
    chance = random.Random(2)
    start = archives.data_offset(archive)
    cuts = [*range(40), *chance.sample(range(start), 40), *range(start - 8, start + 8)]
    cuts += [*chance.sample(range(start, len(archive)), 20), *range(len(archive) - 8, len(archive))]
    for cut in cuts:
        with pytest.raises(DataRefused):
            read(archive[:cut], 1_000_000, digests=False)


def test_an_archive_cut_inside_a_table_names_the_table(dumped: Dumped) -> None:
    archive = dumped.by_compression["none"]
    with pytest.raises(DataRefused, match=r"TABLE DATA public\.users: .* ends too early"):
        read(archive[: archive.index(b"user 4000\tfine")])


def test_an_archive_without_its_last_block_names_what_is_missing(dumped: Dumped) -> None:
    archive = dumped.by_compression["none"]
    entries = [entry for entry in read(archive).entries if entry.description == "BLOBS"]
    first = archive.index(b"\x03" + integer(entries[0].dump_id), archives.data_offset(archive))
    with pytest.raises(
        DataRefused,
        match=rf"{len(entries)} blocks of data are missing, the first of them {re.escape(entries[0].label)}",
    ):
        read(archive[:first])


def test_a_block_that_comes_twice_is_refused(dumped: Dumped) -> None:
    archive = dumped.by_compression["none"]
    with pytest.raises(DataRefused, match="a block of type 1 for entry"):
        read(archive + archive[archives.data_offset(archive) :])


@each_archive
@pytest.mark.parametrize("rest", [b"\0", b"\n", b"\x01" + integer(1), b"garbage"])
def test_bytes_after_the_last_block_are_refused(archive: bytes, rest: bytes) -> None:
    with pytest.raises(DataRefused):
        read(archive + rest, digests=False)


def test_rows_that_are_insert_statements_are_refused(dumped: Dumped) -> None:
    with pytest.raises(DataRefused, match="are not COPY text as pg_dump writes it"):
        read(dumped.inserts)


def test_a_flipped_bit_in_the_data_is_refused_or_changes_the_result(dumped: Dumped) -> None:
    archive = dumped.by_compression["none"]
    whole = read(archive)
    chance = random.Random(3)
    for position in chance.sample(range(archives.data_offset(archive), len(archive)), 20):
        damaged = bytearray(archive)
        damaged[position] ^= 1 << chance.randrange(8)
        with contextlib.suppress(DataRefused):
            assert read(bytes(damaged)) != whole


@pytest.mark.parametrize("data", [b"", b"\0", b"PGDM", b"-- PostgreSQL database dump\n", b"PGDMP"])
def test_what_is_no_archive_is_refused(data: bytes) -> None:
    with pytest.raises(DataRefused):
        read(data)


def test_a_dump_of_no_bytes_is_called_no_archive() -> None:
    with pytest.raises(DataRefused, match="not an archive: it is empty"):
        ArchiveReader().finish()


def test_after_a_refusal_nothing_makes_it_good() -> None:
    reader = ArchiveReader()
    with pytest.raises(DataRefused):
        reader.feed(b"nonsense")
    reader.feed(b"more of it")
    with pytest.raises(DataRefused):
        reader.finish()


COMPRESSED: dict[int, Callable[[bytes], bytes]] = {0: bytes, 1: zlib.compress, 3: zstd.compress}


@pytest.mark.parametrize("method", [1, 3])
def test_memory_stays_bounded_however_much_a_chunk_unfolds_to(method: int) -> None:
    row = b"x" * 100_000_000 + b"\n"
    archive = header(method) + toc(entry()) + table(COMPRESSED[method](row + END_OF_ROWS))
    tracemalloc.start()
    try:
        contents = read(archive)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert contents.tables == {1: Block(1, len(row), hashlib.sha256(row).hexdigest())}
    assert peak < 8_000_000


@pytest.mark.parametrize("method", COMPRESSED)
def test_an_archive_may_be_split_anywhere(method: int) -> None:
    rows = b"1\ttea\n2\twater\n"
    data = COMPRESSED[method](rows + END_OF_ROWS)
    # Chunks of 1, 2, 3, ... bytes, so that the end marker is split in every way inside the archive, too.
    parts = [data[i * (i + 1) // 2 : (i + 1) * (i + 2) // 2] for i in range(20)]
    archive = header(method) + toc(entry(), entry(dump_id=2)) + table(*filter(None, parts)) + table(data, dump_id=2)
    expected = Block(2, len(rows), hashlib.sha256(rows).hexdigest())
    for cut in range(len(archive)):
        reader = ArchiveReader(digests=True)
        reader.feed(archive[:cut])
        reader.feed(archive[cut:])
        assert reader.finish().tables == {1: expected, 2: expected}
    for size in range(1, 20):
        assert read(archive, size).tables == {1: expected, 2: expected}


@pytest.mark.parametrize("method", COMPRESSED)
@pytest.mark.parametrize(
    "rows",
    [
        b"",
        b"1\ttea\n",  # rows, but no end marker
        b"1\ttea\n\\.\n\n",  # part of the end marker
        b"1\ttea\\.\n\n\n",  # a row without its line end
        b"1\ttea\n\\.\n\n\n2\twater\n",  # the end marker is not the last
        b"\\.\n\n\n\n",
    ],
)
def test_rows_without_their_end_marker_are_refused(method: int, rows: bytes) -> None:
    data = [COMPRESSED[method](rows)] if rows else []
    with pytest.raises(DataRefused, match=r"public\.users: .* the rows are cut off"):
        read(header(method) + toc(entry()) + table(*data))


@pytest.mark.parametrize("method", [1, 3])
def test_compressed_data_that_do_not_end_or_do_not_stop_are_refused(method: int) -> None:
    whole = COMPRESSED[method](b"1\ttea\n" + END_OF_ROWS)
    front = header(method) + toc(entry())
    assert read(front + table(*(whole[i : i + 1] for i in range(len(whole))))).tables[1].rows == 1
    for data in ([whole[:-1]], [whole + b"x"], [whole, b"x"], [whole, whole], [b"x" + whole]):
        for size in (1, 65536):
            with pytest.raises(DataRefused, match=r"reading TABLE DATA public\.users: the archive is damaged"):
                read(front + table(*data), size)


@pytest.mark.parametrize("method", COMPRESSED)
def test_large_objects_may_be_empty_with_a_stream_or_without(method: int) -> None:
    empty, some = COMPRESSED[method](b""), COMPRESSED[method](b"data\n")
    blocks = large_objects((5, chunks()), (6, chunks(empty) if empty else chunks()), (-1, chunks(some)))
    contents = read(header(method) + toc(entry(description=b"BLOBS")) + blocks, digests=False)
    assert contents.large_objects == {5: Block(0, 0, None), 6: Block(0, 0, None), 2**32 - 1: Block(0, 5, None)}


def test_a_large_object_that_comes_twice_is_refused() -> None:
    with pytest.raises(DataRefused, match=r"reading large object 5: .* two of it"):
        read(header() + toc(entry(description=b"BLOBS")) + large_objects((5, chunks()), (5, chunks())))


def test_a_block_of_the_wrong_type_is_refused() -> None:
    with pytest.raises(DataRefused, match="a block of type 1 for entry 1"):
        read(header() + toc(entry(description=b"BLOBS")) + table(END_OF_ROWS))


def test_a_chunk_of_negative_length_is_refused() -> None:
    with pytest.raises(DataRefused, match="a chunk is -3 bytes long"):
        read(header() + toc(entry()) + b"\x01" + integer(1) + integer(3) + b"1\t2" + integer(-3) + b"abc")
