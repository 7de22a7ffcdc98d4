# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates that vouch for a server: read on the control node, and copied to where runs find them."""

from __future__ import annotations

import re
import ssl
from pathlib import Path

from ..contract.errors import ConfigurationError

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----")


def certificates_in(name: str) -> str:
    """Return the certificates in the file `name`, which app_database_ca gives.

    Whatever else that file holds, such as a private key, is left where it is. Raise ConfigurationError when the file
    cannot be read or holds no certificate."""
    file = Path(name).expanduser()
    remedy = "name a file on the control node with the certificates (PEM) that vouch for the server's"
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ConfigurationError(f"app_database_ca {file} cannot be read ({error.strerror})", remedy=remedy) from None
    found = "".join(f"{certificate}\n" for certificate in _CERTIFICATE.findall(text))
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=found)
    except (ssl.SSLError, ValueError):  # the second: there is none
        raise ConfigurationError(
            f"app_database_ca {file} holds no certificate that can be used", remedy=remedy
        ) from None
    return found
