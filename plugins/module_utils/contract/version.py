# SPDX-License-Identifier: GPL-3.0-or-later
"""The project's version, as manifests and verdicts record it. galaxy.yml and pyproject.toml say the same; a test
compares."""

from __future__ import annotations

VERSION = "1.0.0"
