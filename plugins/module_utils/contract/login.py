# SPDX-License-Identifier: GPL-3.0-or-later
"""The file with a login that is used for one run and is no part of a column: JSON, readable by its owner alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from .codec import decode_json, encode_json
from .errors import ConfigurationError


@dataclass(frozen=True)
class Login:
    """A user of a source's server, and the password if it needs one."""

    user: str
    password: str | None = field(default=None, repr=False)


def read_login(file: Path) -> Login:
    """Read a login. Raise ConfigurationError, without its content, when it cannot be used."""
    try:
        text = file.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"the login file {file} cannot be read ({error.strerror})", remedy="name a file that this user may read"
        ) from None
    return decode_json(Login, text, f"the login file {file}")


def render_login(login: Login) -> str:
    """Return the text of a login's file."""
    return encode_json(login)
