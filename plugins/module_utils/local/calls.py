# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter of system calls that a scratch server starts behind on the machine that drills, as bubblewrap takes it.

It refuses what runner/confine.c refuses, which does the same in a pod, where words say why: here are the numbers."""

from __future__ import annotations

import errno
import socket
import struct
from dataclasses import dataclass

# Calls that are refused in every case, with the error that whoever makes one gets: "x86_64" -> its number there, and
# "aarch64" -> its number there, which is 425 and up the same everywhere.
REFUSED = {
    "io_uring_setup": (425, 425, errno.ENOSYS),
    "io_uring_enter": (426, 426, errno.ENOSYS),
    "io_uring_register": (427, 427, errno.ENOSYS),
    "clone3": (435, 435, errno.ENOSYS),
    "unshare": (272, 97, errno.EPERM),
    "setns": (308, 268, errno.EPERM),
    "ptrace": (101, 117, errno.EPERM),
    "process_vm_readv": (310, 270, errno.EPERM),
    "process_vm_writev": (311, 271, errno.EPERM),
    "pidfd_getfd": (438, 438, errno.EPERM),
    "kcmp": (312, 272, errno.EPERM),
    "add_key": (248, 217, errno.EPERM),
    "request_key": (249, 218, errno.EPERM),
    "keyctl": (250, 219, errno.EPERM),
    "bpf": (321, 280, errno.EPERM),
    "perf_event_open": (298, 241, errno.EPERM),
    "userfaultfd": (323, 282, errno.EPERM),
}
# New user, network, mount, process, IPC, host name and control group namespaces, as clone's flags ask for them.
NAMESPACES = 0x10000000 | 0x40000000 | 0x00020000 | 0x20000000 | 0x08000000 | 0x04000000 | 0x02000000


@dataclass(frozen=True)
class _Machine:
    """How the kernel calls an architecture, its place in REFUSED, numbers of three calls, and the first number that is
    in the manner of another one."""

    audit: int
    column: int
    socket: int
    socketpair: int
    clone: int
    foreign: int | None


MACHINES = {
    "x86_64": _Machine(0xC000003E, 0, socket=41, socketpair=53, clone=56, foreign=0x40000000),  # from there on x32
    "aarch64": _Machine(0xC00000B7, 1, socket=198, socketpair=199, clone=220, foreign=None),
}

# Of linux/bpf_common.h and linux/seccomp.h.
_LOAD, _EQUAL, _AT_LEAST, _ANY_OF, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16  # places in struct seccomp_data; of the argument its lower half


def program(machine: str) -> bytes:
    """Return the filter for processes of `machine`, as uname calls it: an array of struct sock_filter. Raise KeyError
    for a machine that it is not written for."""
    here = MACHINES[machine]
    made = [_step(_LOAD, _ARCHITECTURE), *_unless(_EQUAL, here.audit, _KILL), _step(_LOAD, _NUMBER)]
    if here.foreign is not None:
        made += _where(_AT_LEAST, here.foreign, [_step(_RETURN, _KILL)])
    for *numbers, error in REFUSED.values():
        made += _where(_EQUAL, numbers[here.column], [_step(_RETURN, _ERROR | error)])
    first = _step(_LOAD, _FIRST_ARGUMENT)
    allowed = _step(_RETURN, _ALLOW)
    for number in (here.socket, here.socketpair):
        family = [first, *_unless(_EQUAL, socket.AF_UNIX, _ERROR | errno.EAFNOSUPPORT), allowed]
        made += _where(_EQUAL, number, family)
    flags = [first, *_where(_ANY_OF, NAMESPACES, [_step(_RETURN, _ERROR | errno.EPERM)]), allowed]
    made += _where(_EQUAL, here.clone, flags)
    return b"".join([*made, allowed])


def _step(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("=HBBI", code, yes, no, value)


def _where(test: int, value: int, steps: list[bytes]) -> list[bytes]:
    """Return `steps` behind a test, that pass over them where it does not hold."""
    return [_step(test, value, 0, len(steps)), *steps]


def _unless(test: int, value: int, answer: int) -> list[bytes]:
    """Return a test that answers where it does not hold."""
    return [_step(test, value, 1, 0), _step(_RETURN, answer)]
