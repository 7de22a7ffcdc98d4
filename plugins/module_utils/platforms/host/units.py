# SPDX-License-Identifier: GPL-3.0-or-later
"""The systemd units of one column: a service and a timer for each thread, and for each that is drilled."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from ...contract.thread import ThreadName
from ...inventory.column import Column
from ...inventory.schedule import Schedule
from .column_files import THREAD_FILE, UNITS, File, path_of

_MODE = 0o644
_HEADER = "# Written by fanout.backup: the next roll-out overwrites every change.\n"
# Nothing that takes away what a run needs: root's drill runs its scratch server as another user, a source may listen on
# a socket in /tmp, a copy may lie anywhere. And nothing that needs a mount namespace (ProtectSystem and its kin): in
# many a container none can be made, and the service ends with 226/NAMESPACE instead of a backup.
_HARDENED = """\
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LimitCORE=0
"""


def unit_files(column: Column, thread: ThreadName, fanout: Path) -> dict[str, File]:
    """Return the units of one thread by path relative to the column's folder. `fanout` is the absolute command."""
    file = column.folder / path_of(thread, THREAD_FILE)
    name = unit_name(thread)

    def pair(name: str, what: str, command: str, schedule: Schedule) -> dict[str, File]:
        timeout = column.limits.end
        service = _service(what, f":{quoted(fanout)} {command} --thread {quoted(file)}", timeout)
        return {
            f"{UNITS}/{name}.service": File(service, _MODE),
            f"{UNITS}/{name}.timer": File(_timer(what, schedule.on_calendar()), _MODE),
        }

    units = pair(name, f"Backup {thread}", "backup", column.schedule_of(thread))
    if column.is_drilled(thread):
        units |= pair(f"{name}.drill", f"Drill {thread}", "drill", column.drill_schedule(thread))
    return units


def unit_name(thread: ThreadName) -> str:
    """Return the name of a thread's units, without suffix."""
    return f"fanout-{thread.dotted}"


def quoted(path: Path | PurePosixPath) -> str:
    """Return one word of a command line as systemd reads it. A colon before the command keeps it from expanding $."""
    text = str(path)
    for character, escaped in (("\\", "\\\\"), ('"', '\\"'), ("%", "%%"), ("\n", "\\n")):
        text = text.replace(character, escaped)
    return f'"{text}"'


def _service(what: str, command: str, timeout: int) -> str:
    return f"""{_HEADER}[Unit]
Description={what}
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
ExecStart={command}
TimeoutStartSec={timeout}
# Only the command is told to stop, or killed: it ends its own children in order, and where it cannot, what removes its
# scratch folder does. Killed with it, that would leave a plain dump on the disk.
KillMode=process
UMask=0077
# A hundred times what a run starts: what a dump brings fills no table of processes. And a server that is ended for lack
# of memory does not end the drill, which says so.
TasksMax=2048
OOMPolicy=continue
Nice=10
IOSchedulingClass=best-effort
IOSchedulingPriority=7
{_HARDENED}"""


def _timer(what: str, on_calendar: str) -> str:
    return f"""{_HEADER}[Unit]
Description={what}

[Timer]
OnCalendar={on_calendar}
# A run that was missed while the machine was off is made up for.
Persistent=true
AccuracySec=1s

[Install]
WantedBy=timers.target
"""
