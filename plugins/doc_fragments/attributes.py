# SPDX-License-Identifier: GPL-3.0-or-later
"""Attributes of modules. Private to this collection: may change without notice."""

from __future__ import annotations


class ModuleDocFragment:
    """What a module promises about check mode, diff mode and repetition."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in check mode and say what it would do, without changing anything.
  diff_mode:
    description: Returns what changed, or in check mode would change, with C(--diff).
  idempotent:
    description: Running it twice in a row with the same options changes nothing the second time.
"""

    # Everything that only reads.
    INFO = r"""
options: {}
attributes:
  check_mode:
    support: full
    details:
      - Only reads, so check mode changes nothing.
  diff_mode:
    support: N/A
    details:
      - Only reads, so there is nothing to compare.
  idempotent:
    support: full
"""

    B2 = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/fanout.backup.b2) in C(module_defaults) to set the account's options once.
    support: full
    membership:
      - fanout.backup.b2
"""
