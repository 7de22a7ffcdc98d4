# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no types
    """Fails on the controller. Documented in plugins/modules/fail_with_reasons.yml."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return a failed result. Ansible prints its message twice, as an error and in the result, the reasons once."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validated, arguments = self.validate_argument_spec(
            {
                "msg": {"type": "str", "required": True},
                "reasons": {"type": "list", "elements": "str", "required": True},
            }
        )
        # The newline at the end keeps a single reason in one line: YAML would quote it and break it.
        reasons = "".join(f"{reason}\n" for reason in arguments["reasons"])
        return {**result, "failed": True, "msg": arguments["msg"], "reasons": reasons}
