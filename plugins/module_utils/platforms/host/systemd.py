# SPDX-License-Identifier: GPL-3.0-or-later
"""systemd of this machine: links to a column's units, and timers that run."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ...contract.errors import ConfigurationError, Unavailable

# A service that is stopped may take systemd's 90 s to clean up.
_TIMEOUT = 150
_TIMERS = "timers.target.wants"


@dataclass(frozen=True)
class Systemd:
    """The service manager that runs a column's units: `folder` is where it looks for units, `command` talks to it."""

    folder: Path
    command: tuple[str, ...]

    def in_use(self, unit: Path) -> bool:
        """Whether the unit at `unit` is linked, and if it is a timer, enabled and running."""
        if _target(self.folder / unit.name) != _real(unit):
            return False
        if unit.suffix != ".timer":
            return True
        return (self.folder / _TIMERS / unit.name).is_symlink() and self._is_active(unit.name)

    def overrides(self, unit: Path) -> list[Path]:
        """Return what somebody has put beside the unit at `unit` to change it, as `systemctl edit` does."""
        return sorted((self.folder / f"{unit.name}.d").glob("*.conf"))

    def check_free(self, unit: Path) -> None:
        """Raise ConfigurationError when the name of the unit at `unit` is taken, above all by a column elsewhere."""
        link = self.folder / unit.name
        target = _target(link)
        if target is None and link.exists():
            raise ConfigurationError(f"{link} is in the way", remedy=f"remove {link}, which is not one of ours")
        if target is not None and target != _real(unit):
            raise ConfigurationError(
                f"the unit {unit.name} belongs to {target.parent.parent}",
                remedy=f"remove that column first (app_state: absent), or run: {' '.join(self.command)} disable --now"
                f" {unit.name}",
            )

    def use(self, units: Iterable[Path]) -> None:
        """Link services, and enable and start timers."""
        units = list(units)
        services = [str(unit) for unit in units if unit.suffix != ".timer"]
        timers = [str(unit) for unit in units if unit.suffix == ".timer"]
        if services:
            self._run("link", *services)
        if timers:
            self._run("enable", "--now", *timers)

    def drop(self, units: Iterable[Path]) -> None:
        """Stop units and remove every link to them. Those of another column's folder stay."""
        names = [unit.name for unit in units if _target(self.folder / unit.name) == _real(unit)]
        if names:
            # Timers first, or one could start its service once more.
            ordered = sorted(names, key=lambda name: not name.endswith(".timer"))
            self._run("stop", *ordered)
            self._run("disable", *ordered)
            # A failed service that is gone would be listed as failed for ever. One that never failed is an error here.
            self._call("reset-failed", *ordered)

    def reload(self) -> None:
        """Let changed units take effect: timers elapse when they now should, a running service goes on as it began."""
        self._run("daemon-reload")

    def _is_active(self, name: str) -> bool:
        return self._call("is-active", "--quiet", name).returncode == 0

    def _run(self, *arguments: str) -> None:
        result = self._call(*arguments)
        if result.returncode != 0:
            said = (result.stderr.strip().splitlines() or [f"exit code {result.returncode}"])[-1]
            raise Unavailable(
                f"systemctl {arguments[0]} failed ({said})", remedy=f"see what {' '.join(self.command)} status says"
            )

    def _call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                (*self.command, *arguments), capture_output=True, text=True, timeout=_TIMEOUT, check=False,
                stdin=subprocess.DEVNULL, env=_environment(),
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            problem = f"systemctl {arguments[0]} did not end within {_TIMEOUT} s"
        except OSError as error:
            problem = f"systemctl cannot run ({error.strerror})"
        raise Unavailable(problem, remedy=f"see what {' '.join(self.command)} status says")


def this_machine() -> Systemd | None:
    """Return the service manager for our user's units, or None where systemd does not run."""
    if not Path("/run/systemd/system").is_dir():  # as sd_booted(3) finds out
        return None
    if os.geteuid() == 0:
        return Systemd(Path("/etc/systemd/system"), ("systemctl",))
    settings = os.environ.get("XDG_CONFIG_HOME")
    folder = Path(settings) if settings else Path.home() / ".config"
    return Systemd(folder / "systemd/user", ("systemctl", "--user"))


def ends_with_the_session() -> bool:
    """Whether our user's timers stop as soon as the user logs out."""
    return os.geteuid() != 0 and not Path("/var/lib/systemd/linger", pwd.getpwuid(os.geteuid()).pw_name).exists()


def _environment() -> dict[str, str]:
    """Return ours, by which a user's systemctl finds its manager, but without the keys of an account."""
    return {name: value for name, value in os.environ.items() if not name.startswith("B2_")}


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _target(link: Path) -> Path | None:
    """Return the real path that a link leads to, or None for anything but a link. The file may be missing."""
    return _real(link) if link.is_symlink() else None
