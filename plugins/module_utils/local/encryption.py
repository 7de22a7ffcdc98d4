# SPDX-License-Identifier: GPL-3.0-or-later
"""age encryption of streams and files, to several recipients, in bounded memory."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from ..contract.errors import ConfigurationError, DataRefused
from ..contract.manifest import FileRecord
from .identities import read_identity, recipient
from .streams import HashedFile

# A header has a stanza of a hundred bytes for each recipient, and behind them the line of its MAC. pyrage reads one
# that never ends from its start again and again, and compares each stanza with all: a megabyte, or ten thousand
# stanzas, take half a minute, in which no signal is heard.
_RECIPIENTS = 500
_HEADER = 64 << 10
_STANZA = b"\n-> "
_HEADER_ENDS = b"\n--- "


class Reader(Protocol):
    """What `encrypt` pulls plain bytes from."""

    def read(self, size: int = -1, /) -> bytes: ...


class Writer(Protocol):
    """What takes the result."""

    def write(self, data: bytes, /) -> int: ...

    def flush(self) -> None: ...


class NotForIdentity(ConfigurationError):
    """What is to be decrypted is encrypted to others than the identity at hand, or to a passphrase."""


class _Remembering:
    """pyrage turns an exception of a stream into text of its own; this keeps the original, so that it can go on."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.error: BaseException | None = None

    def read(self, size: int = -1) -> bytes:
        return self._kept(self.stream.read, size)  # type: ignore[no-any-return]

    def write(self, data: bytes) -> int:
        return self._kept(self.stream.write, data)  # type: ignore[no-any-return]

    def flush(self) -> None:
        self._kept(self.stream.flush)

    def _kept(self, call: Any, *arguments: Any) -> Any:
        try:
            return call(*arguments)
        except BaseException as error:
            self.error = error
            raise


def encrypt(reader: Reader, writer: Writer, recipients: Sequence[str], *, armored: bool = False) -> None:
    """Encrypt all of `reader` into `writer` so that any one identity of `recipients` (age1...) can read it.

    An exception of either stream passes through as it was raised, and what was written until then is no valid file.
    """
    import pyrage

    keys = [recipient(text) for text in recipients]
    source, sink = _Remembering(reader), _Remembering(writer)
    try:
        pyrage.encrypt_io(source, sink, keys, armored)
    except BaseException:
        if (cause := source.error or sink.error) is not None:
            raise cause from None
        raise


def decrypt(reader: BinaryIO, writer: Writer, identity_file: Path) -> None:
    """Decrypt all of `reader`, from its start, into `writer` with the identity in `identity_file`.

    Raise NotForIdentity when the identity fits no recipient, DataRefused when the stream is damaged or cut. What
    was written is to be used only after this returned: a cut stream gives up a part of its text before it is noticed.
    """
    import pyrage

    identity = read_identity(identity_file)
    header, end, _rest = reader.read(_HEADER).partition(_HEADER_ENDS)
    if not end or header.count(_STANZA) > _RECIPIENTS:
        raise _damaged("it has no age header, or an endless one")
    reader.seek(0)
    source, sink = _Remembering(reader), _Remembering(writer)
    try:
        pyrage.decrypt_io(source, sink, [identity])
    except BaseException as error:
        if (cause := source.error or sink.error) is not None:
            raise cause from None
        # Damage behind the header comes as an OSError that no stream raised.
        if not isinstance(error, (pyrage.DecryptError, OSError)):
            raise
        if "No matching keys" in str(error):
            raise NotForIdentity(
                f"{identity_file} is not an identity that this file is encrypted to",
                remedy="if that identity was made anew since this backup, use a newer one, or the owner's recovery"
                " identity (docs/recovery.md); if not, somebody else wrote the file: find out who",
            ) from None
        raise _damaged(str(error)) from None


def _damaged(why: str) -> DataRefused:
    return DataRefused(f"decryption failed ({why})", remedy="the copy is damaged: use another artifact or destination")


def encrypt_bytes(data: bytes, recipients: Sequence[str], *, armored: bool = False) -> bytes:
    """Encrypt a small value in memory."""
    sink = io.BytesIO()
    encrypt(io.BytesIO(data), sink, recipients, armored=armored)
    return sink.getvalue()


def decrypt_bytes(data: bytes, identity_file: Path) -> bytes:
    """Decrypt a small value in memory; errors as `decrypt`."""
    sink = io.BytesIO()
    decrypt(io.BytesIO(data), sink, identity_file)
    return sink.getvalue()


def encrypt_text(text: str, path: Path, recipients: Sequence[str], *, role: str) -> FileRecord:
    """Encrypt a small text into the new file `path` and return its record for the manifest, in which it has `role`."""
    data = text.encode()
    with HashedFile(path) as target:
        encrypt(io.BytesIO(data), target, recipients)
    return FileRecord(role, path.name, target.size, target.sha256, len(data), hashlib.sha256(data).hexdigest())
