# SPDX-License-Identifier: GPL-3.0-or-later
"""Groups of options that merge into the argument spec of a module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class ArgumentSpec:
    """Options with the rules that go with them, as AnsibleModule takes them."""

    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    required_together: Sequence[Sequence[str]] = ()
    required_if: Sequence[tuple[str, object, Sequence[str]]] = ()

    def merge(self, other: ArgumentSpec) -> ArgumentSpec:
        """Return the options of both. Raise ValueError if they share a name."""
        if shared := set(self.options) & set(other.options):
            raise ValueError(f"both groups define {sorted(shared)}")
        return ArgumentSpec(
            {**self.options, **other.options},
            (*self.required_together, *other.required_together),
            (*self.required_if, *other.required_if),
        )

    def to_kwargs(self) -> dict[str, Any]:
        """Return the keyword arguments for AnsibleModule."""
        return {
            "argument_spec": {name: dict(option) for name, option in self.options.items()},
            "required_together": [list(names) for names in self.required_together],
            "required_if": [[option, value, list(names)] for option, value, names in self.required_if],
        }
