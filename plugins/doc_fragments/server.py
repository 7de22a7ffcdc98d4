# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that describe a server. Private to this collection: may change without notice."""

from __future__ import annotations


class ModuleDocFragment:
    """Documents C(server_options) of the wiring."""

    DOCUMENTATION = r"""
options:
  server:
    description:
      - The C(longhorn_*) variables of one server. The role P(fanout.backup.longhorn#role) documents them.
    type: dict
    required: true
  apps:
    description:
      - Names of all apps on the server. What touches its volume touches all of them, and names them.
    type: list
    elements: str
    required: true
"""

    ACTION_GROUP = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/fanout.backup.longhorn) in C(module_defaults) to set options of all of them once.
    support: full
    membership:
      - fanout.backup.longhorn
"""
