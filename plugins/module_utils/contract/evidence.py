# SPDX-License-Identifier: GPL-3.0-or-later
"""evidence.json.age: what the server said inside the dump's own snapshot. Always encrypted: it names tables and
roles."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TypeAlias

from .thread import Query

FORMAT = 1
Answer: TypeAlias = "str | int | float | bool | None"


@dataclass(frozen=True)
class QueryAnswer:
    """A query and its one value, or the reason why it could not be answered."""

    query: Query
    answer: Answer = None
    error: str | None = None


@dataclass(frozen=True)
class Locale:
    """How the database sorts and encodes text; `provider` is libc, icu or builtin."""

    encoding: str
    provider: str
    collate: str
    ctype: str
    locale: str | None = None


@dataclass(frozen=True)
class PostgresqlEvidence:
    """One source's evidence. Tables are qualified names, quoted unless they are plain lower-case words.

    `tables` are exact rows of each table whose data the archive carries, `excluded` those that it does not, with the
    reason. `special_large_objects` are owner, grants and comment, by object id, of those that are not simply the
    database owner's, `search_path` the schemas in which the queries found names without a schema.

    What a server needs that restores: `preload` are libraries that it loads at its start, as names without path and
    ending; `settings` those of the source's server that change how values are read or written; `extension_schemas`
    where each extension lies; `extension_members` what each consists of; `files` what objects name outside of the
    database ("tsearch_data/own.stop", "$libdir/own").

    `configuration` are rows of extensions' own tables that the archive carries by the extension's filter,
    `excluded_rows` rows of those that it does not carry. `invalid_indexes` were not whole at the source already.
    `left_out` is what the login of backups could not see, in words, `login` that login, `collations` {object: "version,
    now version"} where the library that sorts has changed under the data."""

    name: str
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
    answers: tuple[QueryAnswer, ...]
    search_path: tuple[str, ...] = ()
    settings: dict[str, str] = field(default_factory=dict)
    extension_schemas: dict[str, str] = field(default_factory=dict)
    extension_members: dict[str, tuple[str, ...]] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    configuration: dict[str, int] = field(default_factory=dict)
    excluded_rows: dict[str, int] = field(default_factory=dict)
    invalid_indexes: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    login: str = ""
    collations: dict[str, str] = field(default_factory=dict)

    @property
    def major(self) -> int:
        """The server's major version: 18 of "18.6 (Debian 18.6-1)" as of "18beta2". 0 of what is no version."""
        match = re.match(r"[0-9]{1,3}(?![0-9])", self.server_version)
        return int(match[0]) if match else 0


@dataclass(frozen=True)
class PlainRecord:
    """What one of the artifact's other files decrypts to: bytes and sha256."""

    plain_size: int
    plain_sha256: str


@dataclass(frozen=True)
class Evidence:
    """The evidence of an artifact, one entry per source. `started`, `files`, `marks` and `notices` repeat its manifest,
    which is clear text that others can change: `files` are all of the artifact's but the evidence, by name.

    docs/recovery.md reads what stands before `sources` line by line."""

    format: int
    app: str
    artifact: str
    started: str
    marks: tuple[str, ...]
    files: dict[str, PlainRecord]
    sources: tuple[PostgresqlEvidence, ...]
    notices: tuple[str, ...]
