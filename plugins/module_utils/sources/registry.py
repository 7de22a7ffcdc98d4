# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of kinds of sources. A new kind is a new room with the names of Kind, its records in contract/, and one
line here. Each is imported when a thread has it: a thread has one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..contract.errors import ConfigurationError
from ..contract.source import Source
from .base import Kind


def _postgresql() -> Kind[Any, Any]:
    from .postgresql import kind

    return kind


KINDS: dict[str, Callable[[], Kind[Any, Any]]] = {"postgresql": _postgresql}


def kind_of(source: Source) -> Kind[Any, Any]:
    """Return the module of a source's kind."""
    if source.kind not in KINDS:
        raise ConfigurationError(
            f"nothing is known of sources of kind {source.kind!r}", remedy="update the fanout command on this machine"
        )
    return KINDS[source.kind]()
