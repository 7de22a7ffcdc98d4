# SPDX-License-Identifier: GPL-3.0-or-later
"""A scratch server in a container of its own, beside the drill: the app's own image has its very extensions.

What the server has to load is known only when the copy is decrypted, so it waits in the folder of its socket until the
drill writes the file START there: lines for its postgresql.conf. When the server has ended, for whatever reason, the
file ENDED is there, and LOG holds its last words.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from .server_settings import SETTINGS, SUPERUSER

START, ENDED, LOG = "start", "ended", "server.log"


def script(sockets: str, data: str) -> str:
    """Return the shell script that the container runs, with its socket in the folder `sockets` and its data in `data`.

    Images keep PostgreSQL's programs in PATH or where Debian puts them. A shell that is process 1 hears no signal that
    it has no trap for, and would hold up the pod's end for its whole grace period.
    """
    settings = " ".join(f"-c {shlex.quote(f'{name}={value}')}" for name, value in SETTINGS.items())
    return f"""\
sockets={shlex.quote(sockets)}
data={shlex.quote(data)}
server=
trap '[ -n "$server" ] && kill -QUIT "$server" 2>/dev/null; exit 0' TERM INT
umask 077
until [ -f "$sockets/{START}" ]; do sleep 1 & wait $!; done
initdb=$(command -v initdb || ls -d /usr/lib/postgresql/*/bin/initdb /usr/local/bin/initdb 2>/dev/null | tail -n 1)
programs=$(dirname "$initdb")
{{
    mkdir "$data" &&
    "$programs/initdb" --pgdata="$data" --username={SUPERUSER} --auth=trust --encoding=UTF8 --locale=C \\
        --no-sync --no-instructions >/dev/null &&
    cat "$sockets/{START}" >>"$data/postgresql.conf" &&
    {{
        "$programs/postgres" -D "$data" {settings} -c unix_socket_directories="$sockets" &
        server=$!
        wait "$server"
    }}
}} >"$sockets/{LOG}" 2>&1
: >"$sockets/{ENDED}"
while :; do sleep 3600 & wait $!; done
"""


def tell(sockets: Path, configuration: str) -> None:
    """Tell the server to start with these lines in its postgresql.conf. Whole at once: the script reads the file as
    soon as it is there."""
    partial = sockets / f".{START}"
    partial.write_text(configuration, encoding="utf-8")
    partial.replace(sockets / START)
