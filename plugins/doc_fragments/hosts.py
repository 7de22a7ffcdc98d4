# SPDX-License-Identifier: GPL-3.0-or-later
"""What a filter over the inventory takes. Private to this collection: may change without notice."""

from __future__ import annotations


class ModuleDocFragment:
    """Documents C(hostvars) and the hosts to ask."""

    DOCUMENTATION = r"""
options:
  _input:
    description: C(hostvars).
    type: dict
    required: true
  hosts:
    description: Names of the hosts to ask.
    type: list
    elements: str
    required: true
"""
