# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a B2 account. Private to this collection: may change without notice."""

from __future__ import annotations


class ModuleDocFragment:
    """Documents C(b2_options) of the wiring."""

    DOCUMENTATION = r"""
options:
  account_key_id:
    description:
      - Id of the account's application key. It must have the capabilities V(listBuckets) and V(writeBuckets) for
        buckets, V(listBuckets), V(listKeys), V(writeKeys) and V(deleteKeys) for keys.
      - Such a key can mint any other. Keep it on the control node.
      - If it is not set, the environment variable E(B2_APPLICATION_KEY_ID) is used. It may be missing altogether where
        a module has nothing to do at Backblaze.
    type: str
  account_key:
    description:
      - The application key itself.
      - If it is not set, the environment variable E(B2_APPLICATION_KEY) is used.
    type: str
"""
