# SPDX-License-Identifier: GPL-3.0-or-later
"""Destination kind `b2`: Backblaze B2 through its S3 API."""

from __future__ import annotations

from .s3 import S3Bucket
from .s3_probe import Refusal


class B2Bucket(S3Bucket):
    """Buckets at Backblaze always keep versions, so that deleting only hides: the key has no deleteFiles."""

    _versioning = "Enabled"
    _refusal = Refusal("not entitled")
