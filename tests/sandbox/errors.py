# SPDX-License-Identifier: GPL-3.0-or-later
"""What the sandbox raises."""

from __future__ import annotations


class SandboxError(Exception):
    """The sandbox cannot be started, found or stopped. `str(error)` is one line that ends with the remedy."""

    def __init__(self, problem: str, *, remedy: str) -> None:
        super().__init__(" ".join(f"{problem.rstrip('.')}. Remedy: {remedy}".split()))
