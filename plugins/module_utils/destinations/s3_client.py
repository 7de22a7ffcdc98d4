# SPDX-License-Identifier: GPL-3.0-or-later
"""The connection to an S3 server: one client, its repetitions, and its errors."""

from __future__ import annotations

import io
import os
import urllib.parse
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar, cast

from ..contract.errors import BackupError, ConfigurationError, about
from ..contract.key_file import StoredKey
from .retry import Patience
from .s3_errors import Answer, Server, answer_of, is_silence, spoken, worth_repeating

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

T = TypeVar("T")
# Parts of one file that are sent at the same time; each holds its bytes in memory.
IN_FLIGHT = 4


class Connection:
    """Sends requests with one key. Never HeadBucket, ListBuckets or CreateBucket: no thread's key may do them."""

    def __init__(self, key: StoredKey, patience: Patience) -> None:
        self._key = key
        self.patience = patience
        self.server = Server(urllib.parse.urlsplit(key.endpoint).netloc or key.endpoint, key.bucket, key.key_id)

    @cached_property
    def client(self) -> S3Client:
        """The client, made when it is first needed: that takes a third of a second."""
        return _client(self._key, self.patience)

    def run(self, doing: str, request: Callable[[S3Client], T], *, once: bool = False) -> T:
        """Send a request, repeat it where that may help, and return its answer or raise a BackupError about `doing`.

        `once` is for tidying up after a failure: one try, and also when the deadline has passed."""
        with about(doing=doing):
            client = self.client
            failed = silent = 0
            while True:
                if not once:
                    self.patience.check()
                try:
                    return request(client)
                # botocore's errors have no common base; `spoken` raises again what is none of them.
                except Exception as error:
                    ours = spoken(error, self.server)
                    failed += 1
                    silent += is_silence(error)
                    if once or not worth_repeating(error) or not self.patience.wait(failed, silent):
                        raise ours from error

    def refusal(self, doing: str, request: Callable[[S3Client], object]) -> Answer | None:
        """Send a request that the server should refuse. Return its refusal as it was spelt, or None if it complied."""
        from botocore.exceptions import ClientError

        try:
            self.run(doing, request)
        except BackupError as error:
            if isinstance(error.__cause__, ClientError):
                return answer_of(error.__cause__)
            raise
        return None


def _client(key: StoredKey, patience: Patience) -> S3Client:
    """Return a client that depends on nothing but its arguments: no profile, no file in a home directory."""
    try:
        from botocore.config import Config
        from botocore.session import Session
    except ImportError:
        raise ConfigurationError("boto3 is missing", remedy="install boto3 for this Python") from None

    nowhere = (None, None, os.devnull, None)
    session = Session({"profile": (None, None, None, None), "config_file": nowhere, "credentials_file": nowhere})
    config = Config(
        signature_version="s3v4",
        s3={"addressing_style": "path"},
        connect_timeout=patience.connect,
        read_timeout=patience.read,
        retries={"total_max_attempts": 1},  # Connection.run repeats, and knows the deadline
        max_pool_connections=IN_FLIGHT,
        # Backblaze refuses the checksum headers of newer clients. Content-MD5 proves uploads instead.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    try:
        client = session.create_client(
            "s3",
            region_name=key.region,
            endpoint_url=key.endpoint,
            aws_access_key_id=key.key_id,
            aws_secret_access_key=key.secret,
            config=config,
        )
    except ValueError as error:
        raise ConfigurationError(
            f"{key.endpoint!r} is not a valid endpoint ({error})", remedy="correct the endpoint"
        ) from error
    return cast("S3Client", client)


class Body(io.BytesIO):
    """Bytes on their way out. `check` is asked before each portion: a slow server cannot hold a run past its end."""

    def __init__(self, data: bytes, check: Callable[[], None]) -> None:
        super().__init__(data)
        self._check = check

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next portion, or raise what `check` raises."""
        self._check()
        return super().read(size)
