# SPDX-License-Identifier: GPL-3.0-or-later
"""What an S3 server or the network says, in our errors. No message ever holds the secret."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from ..contract.durations import spoken as duration
from ..contract.errors import ROLL_OUT, BackupError, ConfigurationError, DataRefused, Full, NoPermission, Unavailable
from ..local.clock import our_clock

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

_REPEATED_STATUS = {408, 429}
# Damage on the way, and a server that gives up on a slow body, come as 400.
_REPEATED_CODES = {"BadDigest", "RequestTimeout", "IncompleteBody"}
_FULL_CODES = {"QuotaExceeded", "XMinioStorageFull", "InsufficientStorage"}
_REGION_CODES = {"AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocationConstraintException"}
_CLOCK = "RequestTimeTooSkewed"


class NotImplementedThere(ConfigurationError):
    """The server does not support this kind of request at all: it will not have it a moment later either."""


@dataclass(frozen=True)
class Server:
    """Whom messages are about."""

    host: str
    bucket: str
    key_id: str


@dataclass(frozen=True)
class Answer:
    """A refusal as the server spelt it. A HEAD has no body to spell it in, so none is ever sent."""

    status: int
    code: str
    message: str

    def __str__(self) -> str:
        return f"{self.status} {self.code}: {self.message}" if self.message else f"{self.status} {self.code}"


def answer_of(error: ClientError) -> Answer:
    """Return what stands in an error answer, whatever of it is missing."""
    told = error.response.get("Error", {})
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return Answer(status, str(told.get("Code", "")), str(told.get("Message", "")))


def is_silence(error: Exception) -> bool:
    """Whether the server was waited for in vain: repeating that costs the whole wait again."""
    from botocore.exceptions import ConnectTimeoutError, ReadTimeoutError

    silent = (ConnectTimeoutError, ReadTimeoutError, TimeoutError)
    return any(isinstance(cause, silent) for cause in _causes(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what lies below it: botocore hands its causes over as arguments."""
    cause: object = error
    for _layer in range(10):  # more layers than there are, and an end if they go round in a circle
        if not isinstance(cause, BaseException):
            return
        yield cause
        cause = getattr(cause, "kwargs", {}).get("error") or cause.__cause__ or cause.__context__


def worth_repeating(error: Exception) -> bool:
    """Whether the same request may succeed a moment later. A refusal of the key (403) never does."""
    from botocore.exceptions import ClientError, SSLError

    if not isinstance(error, ClientError):
        return is_of_transport(error) and not isinstance(error, SSLError) and not _from_body(error)
    answer = answer_of(error)
    if answer.code in (*_FULL_CODES, "NotImplemented") or answer.status in (501, 507):
        return False
    return answer.status >= 500 or answer.status in _REPEATED_STATUS or answer.code in _REPEATED_CODES


def _from_body(error: Exception) -> BackupError | None:
    """Return what a Body raised while it was being sent: botocore takes it for trouble of the network."""
    inner = getattr(error, "kwargs", {}).get("error")
    return inner if isinstance(inner, BackupError) else None


def is_of_transport(error: Exception) -> bool:
    """Whether the network failed, or something on it that is no S3 server."""
    from botocore.exceptions import ConnectionError as NoConnection
    from botocore.exceptions import HTTPClientError, IncompleteReadError
    from botocore.parsers import ResponseParserError
    from urllib3.exceptions import HTTPError

    # A body that is no XML is what a proxy on the way says in a server's place. While a body is read, botocore lets
    # some errors of urllib3 pass as they are.
    kinds = (HTTPClientError, NoConnection, IncompleteReadError, ResponseParserError, HTTPError)
    return isinstance(error, kinds)


def spoken(error: Exception, server: Server) -> BackupError:
    """Return the error that a user reads for what botocore raised. Raise what it never raises: that is a bug."""
    from botocore.exceptions import BotoCoreError, ClientError

    if ours := _from_body(error):
        return ours
    if isinstance(error, ClientError):
        return _refused(error, server)
    if is_of_transport(error):
        return Unavailable(
            f"{server.host} does not answer ({_reason(error)})",
            remedy="check the network and the endpoint; the next run tries again",
        )
    if not isinstance(error, BotoCoreError):
        raise error
    # What botocore refuses before sending: an impossible bucket name or endpoint.
    return ConfigurationError(
        f"the request to {server.host} cannot be made ({error})", remedy="check endpoint, region and bucket"
    )


def _reason(error: Exception) -> str:
    """Name the cause, not the layers around it: what the system says, or what botocore calls it."""
    if is_silence(error):
        return "no answer in time"
    said = (cause.strerror for cause in _causes(error) if isinstance(cause, OSError) and cause.strerror)
    return next(said, type(error).__name__)


def _refused(error: ClientError, server: Server) -> BackupError:
    answer = answer_of(error)
    if answer.code == _CLOCK:
        offset = clock_offset(error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {}))
        return wrong_clock(offset, server)
    if answer.code in _FULL_CODES or answer.status == 507:
        return Full(f"bucket {server.bucket} has no room ({answer})", remedy="free some space there or raise its quota")
    if "cap exceeded" in answer.message.lower() or answer.code.lower().endswith("cap_exceeded"):
        return _capped(answer, server)
    if answer.status in (401, 403):
        return _forbidden(answer, server)
    if answer.code == "NoSuchBucket":
        return ConfigurationError(
            f"{server.host} has no bucket {server.bucket}", remedy="create it with b2_bucket, or correct its name"
        )
    if answer.code in ("NoSuchKey", "NoSuchVersion"):
        return DataRefused(f"the object is gone ({answer})", remedy="list again; use another artifact")
    if answer.code == "BadDigest":
        return DataRefused(
            f"the bytes were damaged on the way ({answer})", remedy="check network and memory, try again"
        )
    if answer.status in (405, 501) or answer.code == "NotImplemented":
        return NotImplementedThere(
            f"{server.host} does not support this kind of request ({answer})", remedy="use a server that supports it"
        )
    if answer.status >= 500 or answer.status in _REPEATED_STATUS:
        return Unavailable(
            f"{server.host} cannot serve now ({answer})", remedy="the next run tries again; see the provider's status"
        )
    hint = "the region" if answer.code in _REGION_CODES else "endpoint, region and bucket"
    return ConfigurationError(f"{server.host} does not accept the request ({answer})", remedy=f"check {hint}")


def clock_offset(headers: Mapping[str, str]) -> float:
    """Return by how many seconds our clock is ahead of that of the server, whose answer had these headers."""
    date = headers.get("date")
    return (datetime.now(UTC) - parsedate_to_datetime(date).astimezone(UTC)).total_seconds() if date else 0.0


def wrong_clock(offset: float, server: Server) -> ConfigurationError:
    """Return the error about a clock that is `offset` seconds ahead of the server's."""
    direction = "ahead of" if offset > 0 else "behind"
    return ConfigurationError(
        f"{our_clock()} is {duration(abs(offset))} {direction} that of {server.host}",
        remedy="set that clock (systemd-timesyncd, chrony)",
    )


def _capped(answer: Answer, server: Server) -> BackupError:
    """Backblaze's daily and storage caps are the owner's own limits, and no fault of a key."""
    kind = Full if "storage" in f"{answer.code} {answer.message}".lower() else Unavailable
    return kind(
        f"a cap of the account at {server.host} is reached ({answer})",
        remedy="raise it on the page Caps & Alerts, or wait until it is reset at midnight GMT",
    )


def _forbidden(answer: Answer, server: Server) -> BackupError:
    remedy = f"{ROLL_OUT}, which makes a new key"
    if "Malformed Access Key Id" in answer.message:
        remedy = "use an application key: the account's master key does not work with S3"
    elif answer.code == "InvalidAccessKeyId":
        why = "the key is unknown, deleted, expired or of another region"
        remedy = f"{why}: {remedy}, unless another control node took over"
    elif "ignature" in f"{answer.code} {answer.message}":
        remedy = f"the secret does not belong to this key: {remedy}"
    else:
        remedy = f"the key may not do this there: {remedy}"
    return NoPermission(f"{server.host} refuses key {server.key_id} ({answer})", remedy=remedy)
