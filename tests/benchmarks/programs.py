# SPDX-License-Identifier: GPL-3.0-or-later
"""What a backup is compared with, as programs of their own: `python -m tests.benchmarks.programs NAME thread.json`.

`today` is what people run: pg_dump into boto3's upload. `floor` is what no backup of this kind can do without: the same
dump that `fanout backup` makes, into a file, and the upload of that file.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from fanout.contract.key_file import StoredKey, load_key
from fanout.contract.source import PostgresqlSource
from fanout.contract.thread import Thread, load


def _today(thread: Thread, client: Any, key: StoredKey) -> None:
    source = thread.source
    assert isinstance(source, PostgresqlSource)
    with subprocess.Popen(_pg_dump(source), env=_environment(source), stdout=subprocess.PIPE) as dump:
        client.upload_fileobj(dump.stdout, key.bucket, f"{key.prefix}dump")
    if dump.returncode:
        sys.exit(f"pg_dump ended with {dump.returncode}")


def _floor(thread: Thread, client: Any, key: StoredKey) -> None:
    source = thread.source
    assert isinstance(source, PostgresqlSource)
    file = Path(thread.scratch_directory) / "floor.dump"
    try:
        subprocess.run(
            (*_pg_dump(source), "--compress=zstd:1", f"--file={file}"),
            env=_environment(source),
            check=True,
            timeout=600,
        )
        client.upload_file(str(file), key.bucket, f"{key.prefix}dump")
    finally:
        file.unlink(missing_ok=True)


def _pg_dump(source: PostgresqlSource) -> tuple[str, ...]:
    return (f"{source.binaries[0]}/pg_dump", "--format=custom", f"--dbname={source.database}")


def _environment(source: PostgresqlSource) -> dict[str, str]:
    assert source.password_file is not None
    password = Path(source.password_file).read_text(encoding="utf-8")
    login = {"PGHOST": source.host, "PGPORT": str(source.port), "PGUSER": source.user, "PGPASSWORD": password}
    return {**os.environ, **login}


def main() -> None:
    name, file = sys.argv[1:]
    thread = load(file)
    assert thread.key_file
    key = load_key(thread.key_file)
    client = boto3.client(
        "s3",
        endpoint_url=key.endpoint,
        region_name=key.region,
        aws_access_key_id=key.key_id,
        aws_secret_access_key=key.secret,
        # Backblaze refuses the checksum headers that newer clients send.
        config=Config(request_checksum_calculation="when_required", response_checksum_validation="when_required"),
    )
    {"today": _today, "floor": _floor}[name](thread, client, key)


if __name__ == "__main__":
    main()
