# SPDX-License-Identifier: GPL-3.0-or-later
"""What the S3 operations get and give: one request, let in by the gate, and one answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import parse_qsl, unquote, urlsplit

from . import errors, rules, xml
from .keys import Key
from .store import Body, Bucket
from .world import World


@dataclass(frozen=True)
class Address:
    """Where a request points to: (bucket, key), both decoded, "" for what is missing, and the query."""

    bucket: str
    key: str
    query: dict[str, str]

    @classmethod
    def of(cls, target: str) -> Address:
        """Read a raw path-style request target. Nothing in a key is special: not "..", not "//"."""
        parts = urlsplit("http://host" + target)
        bucket, _, key = parts.path.removeprefix("/").partition("/")
        return cls(unquote(bucket), unquote(key), dict(parse_qsl(parts.query, keep_blank_values=True)))

    @property
    def level(self) -> rules.Target:
        return "object" if self.key else "bucket" if self.bucket else "service"


@dataclass
class Answer:
    """Status, headers and body. A body that comes from the store is sent chunk by chunk."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: Body = field(default_factory=Body)

    @classmethod
    def xml(cls, name: str, children: Sequence[tuple[str, xml.Content]]) -> Answer:
        return cls(200, {"Content-Type": "application/xml"}, Body(xml.document(name, children)))


@dataclass
class Request:
    """A request whose signature, digests, bucket, prefix and capabilities are right."""

    world: World
    key_of_caller: Key
    address: Address
    headers: Mapping[str, str]
    content: bytes
    copy_source: Address | None = None
    corrupt: bool = False

    @property
    def key(self) -> str:
        return self.address.key

    @property
    def query(self) -> dict[str, str]:
        return self.address.query

    @property
    def bucket(self) -> Bucket:
        """Raise NoSuchBucket if there is none."""
        return bucket_named(self.world, self.address.bucket)

    @cached_property
    def body(self) -> Body:
        """What is to be stored: the content, or, by order of a test, the content with a bit turned over."""
        body = Body(self.content)
        return body.flipped(body.size // 2) if self.corrupt and body.size else body

    @cached_property
    def md5(self) -> bytes:
        return self.body.md5().digest()

    def number(self, name: str, default: int, lowest: int = 0) -> int:
        """Return a number of the query. Raise S3Error if it is none or too low."""
        text = self.query.get(name, str(default))
        if not text.isdecimal() or int(text) < lowest:
            raise errors.invalid_argument(f"{name} is not a valid number")
        return int(text)


def bucket_named(world: World, name: str) -> Bucket:
    if name not in world.store.buckets:
        raise errors.no_such_bucket()
    return world.store.buckets[name]
