# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that describe a column. Private to this collection: may change without notice."""

from __future__ import annotations


class ModuleDocFragment:
    """Documents C(column_options) of the wiring."""

    DOCUMENTATION = r"""
options:
  app:
    description:
      - The C(app_*) variables of one app, all but those that hold secrets. The role P(fanout.backup.app#role) documents
        them.
    type: dict
    required: true
  secrets:
    description:
      - The C(app_*) variables of the same app that hold secrets. Those of at least 8 characters only, as Ansible masks
        them wherever they occur.
    type: dict
    default: {}
"""
