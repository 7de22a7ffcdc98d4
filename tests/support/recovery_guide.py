# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/recovery.md as a script: block by block as it stands there, with nothing but settings replaced."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.sandbox.postgresql import PostgresServer

from .needs import need
from .playbooks import CHECKOUT

# Where apt puts what the guide tells to install, and nothing of a virtual environment.
PATH = "/usr/local/bin:/usr/bin:/bin"

BUCKET, NAS, EARLIER, RETIRED = "2a", "2b", "2c", "2d"
ONE_WAY = (BUCKET, NAS, EARLIER, RETIRED)


def sections() -> dict[str, list[str]]:
    """The guide's `sh` blocks by the beginning of the heading that they stand under: "2a", "3", or all of it."""
    found: dict[str, list[str]] = {}
    for text in (CHECKOUT / "docs/recovery.md").read_text().split("\n## ")[1:]:
        heading = text.splitlines()[0]
        blocks = re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
        if blocks:
            found[heading.split(". ")[0]] = blocks
    return found


def script(*, way: tuple[str, ...], until: str, settings: dict[str, str], since: str = "1") -> str:
    """The blocks of the steps from `since` to `until`, along one `way` to the copies, with the settings of a test."""
    steps = [name for name in sections() if name[0].isdigit() and (name in way or name not in ONE_WAY)]
    steps = steps[steps.index(since) : steps.index(until) + 1]
    text = "\n".join(block for step in steps for block in sections()[step])
    # A setting is an assignment that refers to nothing. One that no test sets would be an example's value.
    names = re.findall(r"^([A-Z_]+)=[^$\n]*$", text, re.MULTILINE)
    assert set(names) <= set(settings), "a setting of the guide that the test does not know"
    assert len(names) == len(set(names)), "a setting that has to be given twice"
    return re.sub(r"^([A-Z_]+)=[^$\n]*$", lambda found: f"{found[1]}='{settings[found[1]]}'", text, flags=re.MULTILINE)


def typed(text: str, folder: Path, password: str = "", stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a script in a fresh shell that stops at the first failure. Without a terminal psql asks standard input."""
    need("age", "rclone", path=PATH)
    file = folder / "typed.sh"
    file.write_text(text)
    environment = {"PATH": PATH, "HOME": str(folder), "LANG": "C.UTF-8", "PGPASSWORD": password}
    return subprocess.run(
        ["bash", "-euo", "pipefail", file], cwd=folder, env=environment, input=stdin, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, check=False,
    )  # fmt: skip


def settings_for(server: PostgresServer | None, work: Path, **more: str) -> dict[str, str]:
    """The guide's settings for its working folder, the new server if there is one yet, and what a test adds."""
    settings = {"SOURCE": "database", "WORK": str(work), **more}
    if server is not None:
        settings |= {"PROGRAMS": str(server.binaries), "PGHOST": server.host, "PGPORT": str(server.port)}
        settings |= {"PGUSER": server.superuser}
    return settings


def counted(output: str) -> tuple[int, int, int, int]:
    """The last table but one: tables, rows in the dump, rows restored, different."""
    (row,) = re.findall(r"^ +(\d+) \| +(\d+) \| +(\d+) \| +(\d+)$", output, re.MULTILINE)
    return tuple(int(number) for number in row)  # type: ignore[return-value]
