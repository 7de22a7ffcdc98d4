# SPDX-License-Identifier: GPL-3.0-or-later
"""evidence.json.age: what the source said at the moment of the copy. Always encrypted: it names what is inside."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field
from typing import ClassVar, Literal, TypeAlias

from .codec import Kinds
from .errors import DataRefused
from .manifest import EVIDENCE_ROLE, Manifest, words
from .thread import Query

Answer: TypeAlias = "str | int | float | bool | None"
_REPEATED = ("started", "origin", "versions", "measures", "marks", "notices")


@dataclass(frozen=True)
class QueryAnswer:
    """A query and its one value, or the reason why it could not be answered."""

    query: Query
    answer: Answer = None
    error: str | None = None


@dataclass(frozen=True, kw_only=True)
class SourceEvidence(Kinds):
    """What every kind of source says: `answers` to the app's queries, and `left_out`, what the login of backups could
    not see, in words."""

    kind: str
    answers: tuple[QueryAnswer, ...] = ()
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class PlainRecord:
    """What one of the artifact's other files decrypts to: bytes and sha256."""

    plain_size: int
    plain_sha256: str


@dataclass(frozen=True)
class Evidence:
    """The evidence of an artifact. It repeats what the manifest says, which is clear text that others can change:
    `files` are all of the artifact's but the evidence, by name.

    docs/recovery.md reads what stands before `source` line by line."""

    FORMAT: ClassVar[int] = 1

    format: int
    app: str
    artifact: str
    started: str
    marks: tuple[str, ...]
    files: dict[str, PlainRecord]
    source: SourceEvidence
    origin: str
    versions: dict[str, str]
    measures: dict[str, int]
    notices: tuple[str, ...]

    @classmethod
    def of(cls, manifest: Manifest, source: SourceEvidence) -> Evidence:
        """Return the evidence of the artifact that `manifest` is to be the record of."""
        said = {name: getattr(manifest, name) for name in ("app", "artifact", *_REPEATED)}
        return cls(format=cls.FORMAT, files=_plain(manifest), source=source, **said)

    def differs_from(self, manifest: Manifest) -> list[str]:
        """Return what the manifest, as it was read, does not say as its own run did."""
        said = dataclasses.replace(self, marks=words(self.marks), notices=words(self.notices))
        changed = [name for name in _REPEATED if getattr(said, name) != getattr(manifest, name)]
        # Else an older artifact's file, with its record, would pass for this one's.
        files = _plain(manifest)
        return [*changed, *sorted(name for name in {*files, *said.files} if files.get(name) != said.files.get(name))]


def _plain(manifest: Manifest) -> dict[str, PlainRecord]:
    others = (file for file in manifest.files if file.role != EVIDENCE_ROLE)
    return {file.name: PlainRecord(file.plain_size, file.plain_sha256) for file in others}


@dataclass(frozen=True)
class Locale:
    """How the database sorts and encodes text; `provider` is libc, icu or builtin."""

    encoding: str
    provider: str
    collate: str
    ctype: str
    locale: str | None = None


@dataclass(frozen=True, kw_only=True)
class PostgresqlEvidence(SourceEvidence, kind="postgresql"):
    """What the server said inside the dump's own snapshot. Tables are qualified names, quoted unless they are plain
    lower-case words.

    `tables` are exact rows of each table whose data the archive carries, `excluded` those that it does not, with the
    reason. `special_large_objects` are owner, grants and comment, by object id, of those that are not simply the
    database owner's, `search_path` the schemas in which the queries found names without a schema.

    What a server needs that restores: `preload` are libraries that it loads at its start, as names without path and
    ending; `settings` those of the source's server that change how values are read or written; `extension_schemas`
    where each extension lies; `extension_members` what each consists of; `files` what objects name outside of the
    database ("tsearch_data/own.stop", "$libdir/own").

    `configuration` are rows of extensions' own tables that the archive carries by the extension's filter,
    `excluded_rows` rows of those that it does not carry. `invalid_indexes` were not whole at the source already.
    `login` is that of backups, `collations` {object: "version, now version"} where the library that sorts has changed
    under the data."""

    kind: Literal["postgresql"] = "postgresql"
    server_version: str
    system_identifier: str
    locale: Locale
    preload: tuple[str, ...]
    extensions: dict[str, str]
    tables: dict[str, int]
    excluded: dict[str, str]
    sequences: dict[str, str]
    large_objects: int
    special_large_objects: dict[str, str]
    owner: str
    roles: tuple[str, ...]
    search_path: tuple[str, ...] = ()
    settings: dict[str, str] = field(default_factory=dict)
    extension_schemas: dict[str, str] = field(default_factory=dict)
    extension_members: dict[str, tuple[str, ...]] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    configuration: dict[str, int] = field(default_factory=dict)
    excluded_rows: dict[str, int] = field(default_factory=dict)
    invalid_indexes: tuple[str, ...] = ()
    login: str = ""
    collations: dict[str, str] = field(default_factory=dict)

    @property
    def major(self) -> int:
        """The server's major version: 18 of "18.6 (Debian 18.6-1)" as of "18beta2". Raise DataRefused of what is no
        version: nobody can say what its files need."""
        match = re.match(r"[0-9]{1,3}(?![0-9])", self.server_version)
        if match is None:
            raise DataRefused("the evidence does not name a valid server version", remedy="use another artifact")
        return int(match[0])
