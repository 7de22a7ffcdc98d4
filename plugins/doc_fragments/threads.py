# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of modules that act on threads. Private to this collection: may change without notice."""

from __future__ import annotations


class ModuleDocFragment:
    """Documents C(thread_options) of the wiring, which include those of a column, and what acting modules promise."""

    DOCUMENTATION = r"""
options:
  destinations:
    description:
      - Names of destinations in C(app_destinations). Only their threads are used.
    type: list
    elements: str
"""

    ACTING = r"""
options: {}
attributes:
  check_mode:
    support: partial
    details:
      - Does nothing in check mode, and says so.
  diff_mode:
    support: none
  idempotent:
    support: none
    details:
      - Each call acts again.
"""

    ACTION_GROUP = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/fanout.backup.column) in C(module_defaults) to set options of all of them once.
    support: full
    membership:
      - fanout.backup.column
"""
