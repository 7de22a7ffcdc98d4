# SPDX-License-Identifier: GPL-3.0-or-later
"""A server that shows a certificate to everybody, and how its settings are read again."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator

from tests.sandbox.cluster.certificates import Pair
from tests.sandbox.postgresql import PostgresServer


@contextlib.contextmanager
def with_tls(server: PostgresServer, pair: Pair) -> Iterator[None]:
    """Let a running server offer TLS with this certificate meanwhile."""
    owner = server.data.stat()
    for name, file in (("server.crt", pair.certificate), ("server.key", pair.key)):
        path = server.data / name
        path.write_text(file.read_text())
        path.chmod(0o600)
        os.chown(path, owner.st_uid, owner.st_gid)
    with server.connect(autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET ssl = on")
    reload(server)
    try:
        yield
    finally:
        with server.connect(autocommit=True) as connection:
            connection.execute("ALTER SYSTEM RESET ssl")
        reload(server)


def reload(server: PostgresServer) -> None:
    """Let the server read its settings and pg_hba.conf again, and wait until new sessions have them."""
    with server.connect(autocommit=True) as connection:
        (before,) = connection.execute("SELECT pg_conf_load_time() FROM pg_reload_conf()").fetchone()
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with server.connect() as connection:
            if connection.execute("SELECT pg_conf_load_time()").fetchone() != (before,):
                return
        time.sleep(0.02)
    raise AssertionError("the server did not read its settings again")
