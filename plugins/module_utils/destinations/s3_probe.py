# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe of a bucket: what a thread's key can do, shown by trying it, and what it cannot, shown by the refusals.

A refusal counts only in exactly the words in which this kind of server refuses a key, and only after the same key has
worked inside its own prefix: a wrong signature, a missing object or a busy server are refused too, and prove nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..contract.errors import BackupError, DataRefused, NoPermission
from ..contract.object_names import PROBE
from ..contract.probe import ProbeStep
from .s3_client import Connection
from .s3_errors import Answer
from .s3_listing import find, versions
from .s3_upload import confirm, content_md5, send_bytes, send_in_parts

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_CONTENT = b"written by a probe of fanout.backup\n"
_AT_THE_ROOT = "fanout-probe"


@dataclass(frozen=True)
class Refusal:
    """How a server refuses what a key may not do: 403 AccessDenied with this text, or with any if it is None."""

    message: str | None

    def is_said_by(self, answer: Answer) -> bool:
        """Whether `answer` is this refusal and no other."""
        return (answer.status, answer.code) == (403, "AccessDenied") and self.message in (None, answer.message)


@dataclass(frozen=True)
class _Place:
    """Somewhere outside the prefix: an object there, and what a listing there would ask for."""

    name: str
    key: str
    under: str


class Probe:
    """One probe of one key. `lacks` says why what is deleted or overwritten does not stay as a version, or ""."""

    def __init__(self, connection: Connection, prefix: str, refusal: Refusal, *, lacks: str) -> None:
        self._connection = connection
        self._bucket = connection.server.bucket
        self._prefix = prefix
        self._key = prefix + PROBE
        self._refusal = refusal
        self._lacks = lacks

    def run(self, neighbours: Sequence[str], *, tamper: bool) -> tuple[ProbeStep, ...]:
        """Return all steps. When one inside the prefix fails, it is the last: refusals would prove nothing."""
        steps = []
        for step in self._inside():
            steps.append(step)
            if step.outcome != "passed":
                return tuple(steps)
        for place in self._places(neighbours):
            steps += self._outside(place)
        if tamper:
            steps.append(self._delete_a_version())
        steps.append(self._hide())
        return tuple(steps)

    def _inside(self) -> Iterator[ProbeStep]:
        yield self._works("put", self._put)
        yield self._works("get", self._get)
        yield self._works("list", self._list)
        yield self._works("multipart", self._multipart)

    def _works(self, name: str, act: Callable[[], None]) -> ProbeStep:
        try:
            act()
        except (NoPermission, DataRefused) as error:
            return ProbeStep(f"inside: {name}", "failed", error.problem)
        return ProbeStep(f"inside: {name}", "passed", self._key)

    def _put(self) -> None:
        confirm(self._connection, self._key, send_bytes(self._connection, self._key, _CONTENT))

    def _get(self) -> None:
        def request(client: S3Client) -> bytes:
            with closing(client.get_object(Bucket=self._bucket, Key=self._key)["Body"]) as body:
                return body.read(2 * len(_CONTENT))

        if self._connection.run(f"reading {self._key}", request) != _CONTENT:
            raise DataRefused(f"{self._key} came back with different content", remedy="run the probe again")

    def _list(self) -> None:
        if find(self._connection, self._key) is None:
            raise DataRefused(f"{self._key} is not listed", remedy="run the probe again")

    def _multipart(self) -> None:
        sent = send_in_parts(self._connection, self._key, (_CONTENT,), len(_CONTENT))
        confirm(self._connection, self._key, sent)

    def _places(self, neighbours: Sequence[str]) -> Iterator[_Place]:
        yield _Place("outside", _AT_THE_ROOT, "")
        # A prefix is a plain string for the server: one without its slash would reach this name too.
        sibling = f"{self._prefix.rstrip('/')}-evil/"
        yield _Place(f"sibling {sibling}", sibling + PROBE, sibling)
        for neighbour in neighbours:
            yield _Place(f"neighbour {neighbour}", neighbour + PROBE, neighbour)

    def _outside(self, place: _Place) -> Iterator[ProbeStep]:
        yield self._refused(
            f"{place.name}: put",
            lambda client: client.put_object(
                Bucket=self._bucket, Key=place.key, Body=_CONTENT, ContentMD5=content_md5(_CONTENT)
            ),
            f"it wrote {place.key}, which this key cannot remove: delete it with the account key",
        )
        yield self._refused(
            f"{place.name}: get",
            lambda client: client.get_object(Bucket=self._bucket, Key=place.key)["Body"].close(),
            f"it read {place.key}",
        )
        yield self._refused(
            f"{place.name}: list",
            lambda client: client.list_objects_v2(Bucket=self._bucket, Prefix=place.under, MaxKeys=1),
            f"it listed {place.under or 'the whole bucket'}",
        )
        yield self._refused(
            f"{place.name}: copy from",
            lambda client: client.copy_object(
                Bucket=self._bucket, Key=self._key, CopySource={"Bucket": self._bucket, "Key": place.key}
            ),
            f"it copied {place.key}",
        )

    def _delete_a_version(self) -> ProbeStep:
        name = "tamper: delete a version"
        if self._lacks:
            return ProbeStep(name, "failed", self._lacks)
        newest = next(versions(self._connection, self._key, self._prefix), None)
        if newest is None or newest.version is None:
            return ProbeStep(name, "inconclusive", f"{self._key} has no version that could be tried")
        version = newest.version
        return self._refused(
            name,
            lambda client: client.delete_object(Bucket=self._bucket, Key=self._key, VersionId=version),
            f"it deleted version {version} of {self._key}: this key can destroy history",
        )

    def _refused(self, name: str, request: Callable[[S3Client], object], meaning: str) -> ProbeStep:
        """Try what has to be refused; `meaning` says what it means if it is not."""
        try:
            answer = self._connection.refusal(name, request)
        except BackupError as error:
            return ProbeStep(name, "inconclusive", error.problem)
        if answer is None:
            return ProbeStep(name, "failed", meaning)
        return ProbeStep(name, "passed" if self._refusal.is_said_by(answer) else "inconclusive", str(answer))

    def _hide(self) -> ProbeStep:
        name = "inside: hide"
        if self._lacks:
            return ProbeStep(name, "passed", f"{self._key} stays; {self._lacks}")
        return self._works("hide", self._delete_without_version)

    def _delete_without_version(self) -> None:
        self._connection.run(
            f"hiding {self._key}", lambda client: client.delete_object(Bucket=self._bucket, Key=self._key)
        )
