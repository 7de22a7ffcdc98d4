# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of a restored database beside those of its archive, table by table; neither side is held in memory."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from pathlib import Path

from ...contract.evidence import PostgresqlEvidence
from ...contract.verdict import Finding
from ...local.progress import Phases
from ...local.streams import CHUNK
from .archive import ArchiveReader, Contents
from .archive_toc import TocEntry
from .connection import reason
from .identifiers import shown
from .read_back import PsqlFailed, Reader, Text


class _Lines:
    """Lines without their order: how many there are, and the sum of their hashes.

    Two tables with the same rows in another order have the same of both. That other rows have them by chance: each
    line's hash is one of 2**64 numbers that depend on a key of this process alone (SipHash, unless PYTHONHASHSEED names
    the key), so a sum that agrees although a row differs is as likely as guessing a number of 64 bits; where one row is
    there 2**k times too often and another too seldom, of 64 - k bits. The sum, unlike an exclusive or, also sees a row
    that is there twice instead of another. At most one line is held, as the client library does as well."""

    def __init__(self) -> None:
        self.number = 0
        self._sum = 0
        self._begun: list[bytes] = []  # the parts of a line whose end is still to come

    def same_as(self, other: _Lines) -> bool:
        """Whether both have the same lines, once all have been added."""
        return self.number == other.number and (self._sum - other._sum) % 2**64 == 0

    def begin(self, text: bytes) -> None:
        """Leave out the lines that end in `text`, and only begin the one that does not."""
        end = text.rfind(b"\n")
        if end >= 0:
            self._begun.clear()
        self._begun.append(text[end + 1 :])

    def add(self, text: bytes) -> None:
        """Add `text`, which may begin and end inside of a line."""
        first, *lines = text.split(b"\n")
        self._begun.append(first)
        if lines:
            first, self._begun = b"".join(self._begun), [lines.pop()]
            self.number += 1 + len(lines)
            self._sum += hash(first) + sum(map(hash, lines))


class TableComparison:
    """A restored table beside the archive's rows, which are given to `update` as they pass.

    Bytes are compared, and from their first difference on lines without their order: rows of different lengths lie in
    a restored table in another order than in the dump. `same` and `surplus`, how many rows more were restored, hold
    after `end`. `trouble` is why the table could not be read."""

    def __init__(self, text: contextlib.AbstractContextManager[Text], stack: contextlib.ExitStack) -> None:
        self.trouble: Exception | None = None
        self._wanted = _Lines()
        self._found: _Lines | None = None  # None: the same bytes so far
        self._stack = stack
        with self._noted():
            self._text = stack.enter_context(text)

    @property
    def same(self) -> bool:
        return not self.trouble and (self._found is None or self._found.same_as(self._wanted))

    @property
    def surplus(self) -> int:
        return self._found.number - self._wanted.number if self._found else 0

    def update(self, rows: bytes, /) -> None:
        if self.trouble:
            return
        with self._noted():
            text = self._text.read(len(rows))
            if self._found is None:
                if text == rows:
                    self._wanted.begin(rows)
                    return
                self._found = copy.deepcopy(self._wanted)
            self._wanted.add(rows)
            self._found.add(text)

    def end(self) -> None:
        """Read what is left, and close the text."""
        with self._noted(), self._stack:
            while self.trouble is None and (text := self._text.read(CHUNK)):
                self._found = self._found or copy.deepcopy(self._wanted)
                self._found.add(text)

    @contextlib.contextmanager
    def _noted(self) -> Iterator[None]:
        import psycopg

        try:
            yield
        except (psycopg.Error, PsqlFailed) as error:
            self.trouble = error


class ArchiveBeside:
    """Reads an archive and, table by table, what was restored of it."""

    def __init__(self, reader: Reader, evidence: PostgresqlEvidence) -> None:
        self._reader = reader
        self._evidence = evidence
        self._tables: dict[int, TableComparison] = {}
        self._present: TableComparison | None = None
        self._stack = contextlib.ExitStack()

    def read(self, archive: Path, phases: Phases) -> Contents:
        """Read the decrypted archive whole and return its contents. Raise DataRefused when it is damaged."""
        reader = ArchiveReader(digests=True, watch=self._watch)
        with self._stack, archive.open("rb") as stream:
            while data := stream.read(CHUNK):
                reader.feed(data)
                phases.advance(len(data))
            self._end()
        return reader.finish()

    def _watch(self, entry: TocEntry) -> TableComparison | None:
        self._end()
        table = shown(entry.schema, entry.tag)
        # Of an extension's own table some rows are dumped, those that its users made; the extension brings the others.
        rows = self._evidence.tables.get(table, self._evidence.configuration.get(table))
        if rows is not None:
            self._present = TableComparison(self._reader.text(entry, rows), self._stack)
            self._tables[entry.dump_id] = self._present
        return self._present

    def _end(self) -> None:
        if self._present:
            self._present.end()
        self._present = None

    def differences(self, contents: Contents) -> Iterator[Finding]:
        """Compare each table's rows with the archive's, and their number with the evidence."""
        wanted, carried = self._evidence.tables.copy(), {}
        for entry in contents.entries:
            table = shown(entry.schema, entry.tag)
            if entry.dump_id not in contents.tables:
                continue
            if table in self._evidence.configuration:
                wanted[table] = self._evidence.configuration[table]
            elif table in self._evidence.excluded:
                continue  # evidence of a time when the rows of extensions' tables were not counted
            carried[table] = contents.tables[entry.dump_id].rows
            beside = self._tables.get(entry.dump_id)
            if beside and not beside.same:
                yield self._difference(entry, table, carried[table], beside)
        for table in sorted(wanted.keys() | carried.keys()):
            if wanted.get(table) != carried.get(table):
                said = f"{wanted.get(table)} rows in the evidence, {carried.get(table)} in the dump"
                yield Finding("evidence", table, said)

    def _difference(self, entry: TocEntry, table: str, wanted: int, beside: TableComparison) -> Finding:
        import psycopg

        rows = wanted + beside.surplus
        if beside.trouble:
            try:
                rows = self._reader.rows(entry)
            except psycopg.Error as error:
                return Finding("data", table, f"cannot be read ({reason(error)})")
        if rows != wanted:
            return Finding("rows", table, f"restored {rows}, in the dump {wanted}")
        if beside.trouble:
            raise beside.trouble  # it can be read after all: that says nothing about the copy
        return Finding("data", table, f"its {rows} rows differ from those in the dump")
