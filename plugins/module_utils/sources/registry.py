# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of kinds of sources. A new kind is a new module with the functions of Kind, and one line in this table."""

from __future__ import annotations

from typing import cast

from ..contract.thread import Source
from .base import Kind


def kind_of(source: Source) -> Kind:
    """Return the module of a source's kind."""
    from .postgresql import kind as postgresql

    return cast(Kind, {"postgresql": postgresql}[source.kind])
