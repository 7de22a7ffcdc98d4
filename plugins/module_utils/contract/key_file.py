# SPDX-License-Identifier: GPL-3.0-or-later
"""key.json: the key with which one thread reaches its bucket, and what minting it left to be done.

Written by `b2_application_key` for Backblaze B2 and by `column` for other S3 servers, read by destinations. It is the
only place where the secret of a minted key exists, so nothing here ever puts the content of the file into a message.
"""

from __future__ import annotations

import os
import re
import urllib.parse
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from .codec import decode_json, encode_json
from .errors import ROLL_OUT, BackupError, ConfigurationError, NewerFormat

# Hiding needs writeFiles only, and a drill reads what the same thread wrote. Never deleteFiles: history has to resist
# its own writer.
WRITER_CAPABILITIES = ("listFiles", "readFiles", "writeFiles")
OBSERVER_CAPABILITIES = ("listFiles", "readFiles")

_MAXIMUM_SIZE = 1 << 16
_B2_HOST = re.compile(r"s3\.([a-z0-9-]+)\.backblazeb2\.com")
# Servers other than Backblaze's own take any region as long as both sides sign with the same.
_OTHER_REGION = "us-west-004"


@dataclass(frozen=True)
class Minted:
    """What is known of a key that we minted at Backblaze, with `api_version`, at the Unix time `created`."""

    name: str
    bucket_id: str
    capabilities: tuple[str, ...]
    api_version: int
    created: int


@dataclass(frozen=True)
class StoredKey:
    """A key that works. `endpoint` is the URL of the S3 API; `prefix` ends in a slash; only B2 keys are `minted`."""

    kind: Literal["b2", "s3"]
    key_id: str
    secret: str = field(repr=False)
    endpoint: str
    region: str
    bucket: str
    prefix: str
    minted: Minted | None = None


@dataclass(frozen=True)
class RetiringKey:
    """A replaced key that a run which began before `since` (Unix time) may still use."""

    key_id: str
    name: str
    api_version: int
    since: int


@dataclass(frozen=True)
class KeyFile:
    """The whole of key.json.

    `pending` names a key that may exist at Backblaze without its secret being here. `api_url` is the native API that
    minted all of these keys; None for keys of other servers.
    """

    FORMAT: ClassVar[int] = 1

    format: int = FORMAT
    api_url: str | None = None
    current: StoredKey | None = None
    pending: str | None = None
    retiring: tuple[RetiringKey, ...] = ()


def render(file: KeyFile) -> str:
    """Return the text of key.json. It holds the secret: write it with mode 0600 and nowhere else."""
    return encode_json(file)


def parse(text: bytes, where: str) -> KeyFile:
    """Given the text of key.json and its place, return it.

    Raise ConfigurationError, which shows none of the text, if it cannot be used.
    """
    try:
        return decode_json(KeyFile, text, where)
    except NewerFormat:
        raise
    except BackupError:
        # Not even the reason is shown: it may quote a value, and a value may be the secret in a wrong place.
        raise _unusable(where, "is not a key file") from None


def read(path: str | os.PathLike[str]) -> KeyFile | None:
    """Return the key file at `path`, or None when there is none. Raise ConfigurationError when it cannot be used."""
    try:
        with Path(path).open("rb") as stream:
            text = stream.read(_MAXIMUM_SIZE + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read ({error.strerror})", remedy="run as the user who owns the column's folder"
        ) from None
    if len(text) > _MAXIMUM_SIZE:
        raise _unusable(str(path), "is too large for a key file")
    return parse(text, str(path))


def load_key(path: str | os.PathLike[str]) -> StoredKey:
    """Return the thread's key. Raise ConfigurationError when there is none yet or the file cannot be used."""
    file = read(path)
    if file is None or file.current is None:
        raise ConfigurationError(f"{path} holds no key yet", remedy=ROLL_OUT)
    return file.current


def region_of(endpoint: str) -> str:
    """Given the URL of an S3 endpoint of Backblaze, return the region that its requests are signed for."""
    match = _B2_HOST.fullmatch(urllib.parse.urlsplit(endpoint).hostname or "")
    return match[1] if match else _OTHER_REGION


def _unusable(where: str, problem: str) -> ConfigurationError:
    return ConfigurationError(f"{where} {problem}", remedy=f"remove it and {ROLL_OUT}, which makes a new key")
