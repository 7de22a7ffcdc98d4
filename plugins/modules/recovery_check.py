# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: recovery_check
short_description: Let the owner prove that an offline recovery identity still decrypts
version_added: 1.0.0
author:
  - fanout.backup contributors (@fanout-backup)
description:
  - Without O(answer) it creates a challenge for each recipient in C(app_recovery_recipients), a random text that is
    encrypted to that recipient alone. A challenge that waits for its answer is kept.
  - With O(answer) it finds the challenge that was answered and records the time. Any other answer fails.
  - Records lie below C(app_host_directory) in C(recovery) with mode 0600, one for each recipient, whichever apps name
    it. They hold digests of answers, never an answer.
  - M(fanout.backup.column_info) warns until one of the app's recipients has answered, and again after 365 days.
options:
  answer:
    description:
      - The text of a challenge, decrypted.
    type: str
extends_documentation_fragment:
  - fanout.backup.attributes
  - fanout.backup.threads.action_group
  - fanout.backup.column
attributes:
  check_mode:
    support: full
    details:
      - A challenge that does not exist yet is not made.
  diff_mode:
    support: full
    details:
      - Shows when each recipient was challenged and when it answered.
  idempotent:
    support: full
    details:
      - After an answer the next call without O(answer) makes a new challenge.
seealso:
  - module: fanout.backup.column_info
"""

EXAMPLES = r"""
- name: Create a challenge for the owner of forgejo
  fanout.backup.recovery_check: &forgejo
    app:
      app_name: forgejo
      app_database: forgejo
      app_destinations:
        b2: {kind: b2, bucket: example-backups}
        nas: {kind: directory, path: /mnt/nas}
      app_recovery_recipients: ["{{ recovery_recipient }}"]

- name: Record the answer
  fanout.backup.recovery_check:
    <<: *forgejo
    answer: "{{ recovery_answer }}"
"""

RETURN = r"""
lines:
  description: What the owner must know or do, in lines for people.
  returned: success
  type: list
  elements: str
recipients:
  description: One entry for each of the app's recovery recipients.
  returned: success
  type: list
  elements: dict
  contains:
    recipient:
      description: The public key.
      type: str
      returned: success
    challenge:
      description: The open challenge, encrypted and armored. None if there is none.
      type: str
      returned: success
    challenge_file:
      description: The file that holds it. None if there is none.
      type: str
      returned: success
    answered:
      description: When the last right answer came, in UTC. None if there was none.
      type: str
      returned: success
failure:
  description: What failed, for programs. Its C(code) is one of the names of the exit codes, such as V(data_refused).
  returned: failure
  type: dict
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fanout.backup.plugins.module_utils.actions import recovery
from ansible_collections.fanout.backup.plugins.module_utils.contract.errors import about
from ansible_collections.fanout.backup.plugins.module_utils.wiring.argument_spec import ArgumentSpec
from ansible_collections.fanout.backup.plugins.module_utils.wiring.column import column_of, column_options
from ansible_collections.fanout.backup.plugins.module_utils.wiring.failures import Outcome, run

CHECK_OPTIONS = ArgumentSpec({"answer": {"type": "str", "no_log": True}})


def check(module: AnsibleModule) -> Outcome:
    column, answer, now = column_of(module), module.params["answer"], datetime.now(UTC)
    with about(column.app, "recovery check"):
        folder, before = recovery.records_of(column)
        if answer is None:
            after = tuple(recovery.challenged(record, now) for record in before)
        else:
            after = recovery.answered(before, answer, now)
        if not module.check_mode:
            for record in after:
                recovery.store(folder, record)
    # In check mode a new challenge is in no file, so that nobody could ever answer it.
    told = before if module.check_mode else after
    return Outcome(
        _shown(before),
        _shown(after),
        {
            "lines": list(recovery.lines(folder, told)),
            "recipients": [_told(folder, record) for record in told],
        },
    )


def _shown(records: Sequence[recovery.RecipientRecord]) -> dict[str, object]:
    return {
        record.recipient: {
            "challenged": record.challenge and record.challenge.made,
            "answered": record.proof and record.proof.answered,
        }
        for record in records
    }


def _told(folder: Path, record: recovery.RecipientRecord) -> dict[str, Any]:
    return {
        "recipient": record.recipient,
        "challenge": record.challenge and record.challenge.encrypted,
        "challenge_file": str(recovery.challenge_file(folder, record)) if record.challenge else None,
        "answered": record.proof and record.proof.answered,
    }


def main() -> None:
    spec = CHECK_OPTIONS.merge(column_options())
    run(AnsibleModule(supports_check_mode=True, **spec.to_kwargs()), check)


if __name__ == "__main__":
    main()
