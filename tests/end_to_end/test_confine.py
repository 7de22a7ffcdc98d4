# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that a scratch server starts behind in a pod: what it starts reaches no network, whatever it tries."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sandbox.places import CHECKOUT
from tests.support.needs import need

CALL = "import ctypes, os; libc = ctypes.CDLL(None, use_errno=True); "
X32 = 0x40000000


@pytest.fixture(scope="module")
def confine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, built as in runner/Containerfile."""
    program = tmp_path_factory.mktemp("confine") / "confine"
    need("gcc", "libseccomp-dev")
    source = CHECKOUT / "runner/confine.c"
    build = ("gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-static", "-o", program, source, "-lseccomp")
    subprocess.run(build, check=True, timeout=120)
    return program


def confined(confine: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run((confine, *command), capture_output=True, text=True, timeout=60, check=False)


def python(confine: Path, code: str) -> subprocess.CompletedProcess[str]:
    return confined(confine, sys.executable, "-c", code)


def errno_of(confine: Path, call: str) -> str:
    """The name of the error that a system call fails with, made by hand: numbers are those of this machine."""
    code = f"import errno; {CALL}done = libc.syscall({call}); print(done, errno.errorcode.get(ctypes.get_errno()))"
    return python(confine, code).stdout.strip()


def test_a_shell_that_it_starts_opens_no_connection_though_the_machine_can(confine: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        dial = ("bash", "-c", f"exec 3<>/dev/tcp/127.0.0.1/{listener.getsockname()[1]}")
        assert subprocess.run(dial, timeout=60, check=False).returncode == 0
        refused = confined(confine, *dial)

    assert refused.returncode != 0
    assert "Address family not supported" in refused.stderr


def test_no_socket_is_made_but_those_of_this_machine(confine: Path) -> None:
    code = """
import socket
for family in range(64):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET):
        try:
            socket.socket(family, kind).close()
        except OSError as error:
            if error.errno != 97: print(family, error)
        else:
            print(family, "made")
"""
    said = python(confine, code).stdout.splitlines()

    assert said, "sockets of this machine"
    assert {line.split()[0] for line in said} == {"1"}


def test_what_postgresql_lives_on_is_left(confine: Path) -> None:
    code = """
import mmap, multiprocessing, os, socket, subprocess, tempfile, threading
a, b = socket.socketpair()
a.sendall(b"x"); assert b.recv(1) == b"x"
with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
    listener.bind(folder + "/socket")
threading.Thread(target=print).start()
mmap.mmap(-1, 1 << 20)
assert multiprocessing.get_context("fork").Pool(2).map(abs, [-1, -2]) == [1, 2]
subprocess.run(["sh", "-c", "sleep 0 & wait"], check=True)
print("lives")
"""
    assert "lives" in python(confine, code).stdout


def test_programs_that_it_starts_are_confined_too_and_gain_nothing_by_their_owner(confine: Path) -> None:
    done = confined(confine, "sh", "-c", "sh -c 'cat /proc/self/status'")

    fields = dict(line.split(":\t", 1) for line in done.stdout.splitlines() if ":\t" in line)
    assert (fields["Seccomp"], fields["NoNewPrivs"]) == ("2", "1")


def test_a_ring_of_requests_which_would_make_sockets_unseen_is_none_that_this_kernel_has(confine: Path) -> None:
    for number in (425, 426, 427):
        assert errno_of(confine, f"{number}, 8, 0, 0, 0, 0") == "-1 ENOSYS"


@pytest.mark.parametrize("flag", ["0x10000000", "0x40000000", "0x00020000", "0x20000000"])  # user, net, mount, pid
def test_no_namespace_is_made_by_any_call(confine: Path, flag: str) -> None:
    clone = 56 if os.uname().machine == "x86_64" else 220
    assert errno_of(confine, f"{clone}, {flag} | 17, 0, 0, 0, 0") == "-1 EPERM"
    assert python(confine, f"{CALL}print(libc.unshare({flag}), ctypes.get_errno())").stdout.strip() == "-1 1"
    assert errno_of(confine, "435, 0, 0") == "-1 ENOSYS"


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the numbers are those of x86_64")
@pytest.mark.parametrize(
    "number", [101, 310, 311, 438, 312, 248, 249, 250, 321, 298, 323, 308]
)  # ptrace, process_vm_*, pidfd_getfd, kcmp, keys, bpf, perf_event_open, userfaultfd, setns
def test_other_processes_keys_of_the_kernel_and_its_inner_programs_are_out_of_reach(confine: Path, number: int) -> None:
    assert errno_of(confine, f"{number}, 0, 0, 0, 0, 0") == "-1 EPERM"


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="only there is a second way to number calls")
def test_a_call_in_the_manner_of_another_architecture_ends_whoever_makes_it(confine: Path) -> None:
    done = python(confine, f"{CALL}libc.syscall({X32 | 41}, 2, 1, 0); print('still here')")
    assert done.returncode == -signal.SIGSYS
    assert "still here" not in done.stdout
    # mov eax, 359 (socket of 32 bits); mov ebx, 2; mov ecx, 1; xor edx, edx; int 0x80; ret
    code = bytes.fromhex("b867010000bb02000000b90100000031d2cd80c3")
    thirty_two = (
        f"import ctypes, mmap; page = mmap.mmap(-1, 4096, prot=7); page.write({code!r});"
        "ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))(); print('still here')"
    )
    assert "still here" not in python(confine, thirty_two).stdout


def test_without_a_filter_nothing_is_started(confine: Path, tmp_path: Path) -> None:
    """A kernel that takes no filter is played by a filter."""
    refuse = tmp_path / "refuse.c"
    refuse.write_text(
        "#include <seccomp.h>\n#include <unistd.h>\n#include <errno.h>\n"
        "int main(int n, char **words) { scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW); (void)n;"
        " seccomp_rule_add(f, SCMP_ACT_ERRNO(EINVAL), SCMP_SYS(seccomp), 0);"
        " seccomp_rule_add(f, SCMP_ACT_ERRNO(EINVAL), SCMP_SYS(prctl), 1, SCMP_A0(SCMP_CMP_EQ, 22));"
        " if (seccomp_load(f)) return 9; execv(words[1], words + 1); return 8; }\n"
    )
    subprocess.run(("gcc", "-static", "-o", tmp_path / "refuse", refuse, "-lseccomp"), check=True, timeout=120)

    done = subprocess.run(
        (tmp_path / "refuse", confine, "touch", tmp_path / "started"),
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert done.returncode == 125
    assert "confine: no filter can be set" in done.stderr
    assert not (tmp_path / "started").exists()
