# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives put together byte by byte, for what no pg_dump would write. By default of version 1.16, uncompressed."""

from __future__ import annotations

import struct

VERSION, COMPRESSION = 5, 11  # where they lie in the header, both one byte for each number


def integer(value: int) -> bytes:
    """Write a number the way archives do."""
    return struct.pack("<BI", value < 0, abs(value))


def text(value: bytes | None) -> bytes:
    """Write a text, or None, the way archives do."""
    return integer(-1) if value is None else integer(len(value)) + value


def header(compression: int = 0) -> bytes:
    """Return a header: created on 2024-02-29 at 23:58:59."""
    created = b"".join(map(integer, (59, 58, 23, 29, 1, 124, 0)))
    return b"PGDMP" + bytes([1, 16, 0, 4, 8, 1, compression]) + created + text(b"app") + text(b"18.4") + text(b"18.4")


def entry(
    *,
    dump_id: int = 1,
    description: bytes = b"TABLE DATA",
    tag: bytes = b"users",
    copy_statement: bytes | None = b"COPY public.users FROM stdin;\n",
    section: int = 3,
    relkind: int = 0,
    oid: bytes = b"16384",
    dependencies: tuple[bytes, ...] = (),
) -> bytes:
    """Return one entry that has data."""
    parts = [integer(dump_id), integer(1), text(b"0"), text(oid), text(tag), text(description), integer(section)]
    parts += [text(b""), text(b""), text(copy_statement), text(b"public"), text(None), text(None), integer(relkind)]
    parts += [text(b"owner"), text(b"false"), *map(text, dependencies), text(None), bytes(9)]
    return b"".join(parts)


def toc(*entries: bytes) -> bytes:
    """Return a table of contents."""
    return integer(len(entries)) + b"".join(entries)


def chunks(*contents: bytes) -> bytes:
    """Return chunks and the end of them."""
    return b"".join(text(content) for content in contents) + integer(0)


def table(*contents: bytes, dump_id: int = 1) -> bytes:
    """Return a table's data block, by default that of `entry`."""
    return b"\x01" + integer(dump_id) + chunks(*contents)


def large_objects(*objects: tuple[int, bytes], dump_id: int = 1) -> bytes:
    """Return a block of large objects: pairs of object id as it is written, and chunks."""
    return b"\x03" + integer(dump_id) + b"".join(integer(oid) + content for oid, content in objects) + integer(0)
