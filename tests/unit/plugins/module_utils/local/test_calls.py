# SPDX-License-Identifier: GPL-3.0-or-later
"""The two filters of system calls, of a machine that drills and of a pod, refuse the same."""

from __future__ import annotations

import ctypes
import errno
import re

import pytest

from fanout.local import calls
from tests.sandbox.places import CHECKOUT

SOURCE = (CHECKOUT / "runner/confine.c").read_text(encoding="utf-8")
# Of linux/sched.h.
FLAGS = {
    "CLONE_NEWUSER": 0x10000000, "CLONE_NEWNET": 0x40000000, "CLONE_NEWNS": 0x00020000, "CLONE_NEWPID": 0x20000000,
    "CLONE_NEWIPC": 0x08000000, "CLONE_NEWUTS": 0x04000000, "CLONE_NEWCGROUP": 0x02000000,
}  # fmt: skip


def test_both_refuse_the_same_calls_with_the_same_errors() -> None:
    there = re.findall(r"\{SCMP_SYS\((\w+)\), (\w+)\}", SOURCE)
    assert {name: getattr(errno, error) for name, error in there} == {
        name: error for name, (*_numbers, error) in calls.REFUSED.items()
    }
    assert sum(FLAGS[name] for name in set(re.findall(r"CLONE_NEW\w+", SOURCE))) == calls.NAMESPACES


@pytest.mark.parametrize("machine", list(calls.MACHINES))
def test_numbers_of_calls_are_those_of_the_kernel(machine: str) -> None:
    try:
        resolve = ctypes.CDLL("libseccomp.so.2").seccomp_syscall_resolve_name_arch
    except OSError:
        pytest.skip("this machine has no libseccomp")
    here = calls.MACHINES[machine]
    numbers = {name: columns[here.column] for name, columns in calls.REFUSED.items()}
    numbers |= {"socket": here.socket, "socketpair": here.socketpair, "clone": here.clone}
    assert {name: resolve(ctypes.c_uint32(here.audit), name.encode()) for name in numbers} == numbers
