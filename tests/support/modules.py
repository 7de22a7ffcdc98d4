# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls modules in this process, the way Ansible does: arguments in, JSON on standard output."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
from typing import Any
from unittest import mock

from ansible.module_utils.common import parameters, warnings
from ansible.module_utils.testing import patch_module_args

RECIPIENT = "age18tujglrx649755lreldm7wst5tagg4nuw0s5we2l5snhc5ndd3gs767t9m"


def call(module: str, *, check: bool = False, diff: bool = True, **options: Any) -> dict[str, Any]:
    """Run `module` with `options` and return its result, with the texts of its warnings.

    `printed` is all that it wrote, for a search for secrets."""
    code = importlib.import_module(f"ansible_collections.fanout.backup.plugins.modules.{module}")
    printed = io.StringIO()
    arguments = {**options, "_ansible_check_mode": check, "_ansible_diff": diff}
    # With what a module was called: until ansible-core 2.19 always in its result, later where the user asks for it.
    if "inject_invocation" in parameters.PASS_VARS:
        arguments["_ansible_inject_invocation"] = True
    # Warnings pile up in a process, there is no public way to forget them, and Ansible gives each module a process.
    with mock.patch.dict(warnings._global_warnings, clear=True):
        with patch_module_args(arguments), contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
            code.main()
        told = list(warnings.get_warning_messages())
    return {**json.loads(printed.getvalue()), "warnings": told, "printed": printed.getvalue()}
