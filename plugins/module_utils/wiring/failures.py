# SPDX-License-Identifier: GPL-3.0-or-later
"""The two ends of every module: what it returns, and the one place where errors become a failed task."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..contract.errors import BackupError, ConfigurationError

# What pip calls the libraries that modules import. meta/ee-requirements.txt holds the ranges; a test compares the two.
LIBRARIES = ("psycopg[binary]", "boto3", "pyrage", "cryptography", "backports.zstd", "kubernetes")


@dataclass(frozen=True)
class Outcome:
    """What a module did, or in check mode would do.

    `before` and `after` are the whole truth about `changed` and about the diff; a module that only reads leaves them
    out. `values` is what else it returns. None of them may hold a secret. With a `failure` the module fails, and
    returns all the same what it could do before.
    """

    before: object = None
    after: object = None
    values: Mapping[str, object] = field(default_factory=dict)
    failure: BackupError | None = None

    def result(self, *, diff: bool) -> dict[str, Any]:
        """Return the module's result."""
        result = {**self.values, "changed": self.before != self.after}
        if diff and self.before != self.after:
            result["diff"] = {"before": self.before or {}, "after": self.after or {}}
        return result


def run(module: AnsibleModule, act: Callable[[AnsibleModule], Outcome]) -> None:
    """Do the module's work and exit with its outcome, or fail with one line that names the remedy. Never returns."""
    failure: BackupError | None
    result: dict[str, Any] = {}
    try:
        outcome = act(module)
        result = outcome.result(diff=module._diff)  # noqa: SLF001 - Ansible has no public name for --diff
        failure = outcome.failure
    except BackupError as error:
        failure = error
    except ImportError as error:
        failure = _missing_library(error)
    except Exception as error:  # noqa: BLE001 - a traceback could show a secret, and helps nobody in a table of apps
        failure = _bug(error)
    # Outside of the except blocks: inside, Ansible could add the exception's own text, which may hold anything.
    if failure is None:
        module.exit_json(**result)
    else:
        module.fail_json(msg=str(failure), failure=failure.as_result(), **result)


def hide(module: AnsibleModule) -> Callable[[str], None]:
    """Return a function that masks a secret in everything that the module will return, for secrets that it obtains."""
    secrets: set[str] = module.no_log_values
    return secrets.add


def _missing_library(error: ImportError) -> BackupError:
    libraries = " ".join(f"'{library}'" for library in LIBRARIES)
    return ConfigurationError(
        f"the Python library {error.name or '?'} is missing on the machine that runs the module",
        remedy=f"{sys.executable} -m pip install {libraries}",
    )


def _bug(error: Exception) -> BackupError:
    """The text of an unforeseen exception may hold anything, a secret too: its type and place have to do."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    return BackupError(
        f"this is a bug in fanout.backup: {type(error).__name__} at {PurePath(place.filename).name}:{place.lineno}",
        remedy="report this line",
    )
