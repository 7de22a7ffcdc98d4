# SPDX-License-Identifier: GPL-3.0-or-later
"""A scratch server in a container of its own, beside the drill: the app's own image has its very extensions.

What the server has to load is known only when the copy is decrypted. So it says with the file READY that it waits in
the folder of its socket, until the drill writes the file START there: lines for its postgresql.conf. When the server
has ended, for whatever reason, the file ENDED is there, and LOG holds its last words.

The container runs what the copy brings, and all of it is confined (runner/confine.c). What lies in the folder, and who
answers at its socket, is hostile: the drill reads plain files alone, and a bounded part of them, and it has no password
that it could be asked for. The server trusts whoever connects: nobody does but the drill and its own container, where a
program that the copy starts already is the server.
"""

from __future__ import annotations

import contextlib
import os
import shlex
from pathlib import Path

from ...contract.errors import ConfigurationError
from ...local.files import new_private
from ...local.waiting import wait
from .server_settings import SETTINGS, SUPERUSER

READY, START, ENDED, LOG = "ready", "start", "ended", "server.log"

# Its container runs before the drill's is made, and says so first of all.
_PATIENCE = 15


def script(sockets: str, data: str) -> str:
    """Return the shell script that the container runs, with its socket in the folder `sockets` and its data in `data`.

    Images keep PostgreSQL's programs in PATH or where Debian puts them. A shell that is process 1 hears no signal that
    it has no trap for, and would hold up the pod's end for its whole grace period. The drill, which has another number
    and the group in common, reads what it writes.
    """
    settings = " ".join(f"-c {shlex.quote(f'{name}={value}')}" for name, value in SETTINGS.items())
    return f"""\
sockets={shlex.quote(sockets)}
data={shlex.quote(data)}
server=
trap '[ -n "$server" ] && kill -QUIT "$server" 2>/dev/null; exit 0' TERM INT
umask 027
: >"$sockets/{READY}"
until [ -f "$sockets/{START}" ]; do sleep 1 & wait $!; done
initdb=$(command -v initdb || ls -d /usr/lib/postgresql/*/bin/initdb /usr/local/bin/initdb 2>/dev/null | tail -n 1)
programs=$(dirname "$initdb")
{{
    mkdir -m 700 "$data" &&
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
    soon as it is there. Raise OSError if it cannot be written."""
    partial = sockets / f".{START}"
    partial.unlink(missing_ok=True)
    # A new file, and no link that somebody left in its place.
    with new_private(partial) as stream:
        os.fchmod(stream.fileno(), 0o644)
        stream.write(configuration.encode())
    partial.replace(sockets / START)


def await_ready(sockets: Path) -> None:
    """Wait until the server's container waits to be told. Raise ConfigurationError if it does not run."""
    late = ConfigurationError(
        "the container of the scratch server does not run, or cannot be confined",
        remedy="see what it says (kubectl logs --container server): app_drill_image needs a shell, and the node"
        " a kernel with seccomp filters",
    )
    wait(lambda: is_there(sockets, READY), _PATIENCE, lambda: late, pause=0.05)


def is_there(sockets: Path, name: str) -> bool:
    """Whether the folder has a file of this name, whatever it is: a link is not followed."""
    with contextlib.suppress(OSError):
        (sockets / name).lstat()
        return True
    return False
