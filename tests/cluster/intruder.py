# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs in a pod of one app, as its backups do, and tries to get at another's: see neighbours.py.

Its only argument says where, as JSON; what came of it is printed as JSON."""

import json
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.session import Session

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
COLUMN = Path("/etc/fanout")


def main(told: dict[str, Any]) -> None:
    """Try everything."""
    who = review(told, "SelfSubjectReview", "authentication.k8s.io", {})
    may = review(told, "SelfSubjectRulesReview", "authorization.k8s.io", {"namespace": told["namespace"]})
    own = told["places"]["own"]["prefix"]
    result = {
        "who": who["userInfo"]["username"],
        "rules": may["resourceRules"],
        "api": {path: ask(told, path)[0] for path in told["paths"]},
        "databases": {name: opened(name, told["login"]) for name in told["databases"]},
        "places": {name: reached(place, f"{own}copied") for name, place in told["places"].items()},
    }
    print(json.dumps(result))


def ask(told: dict[str, Any], path: str, body: object = None) -> tuple[int, Any]:
    """Send a request to the API server with the account's token; return the status and the object."""
    headers = {"Authorization": f"Bearer {(ACCOUNT / 'token').read_text()}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(told["api"] + path, data, headers)
    trusted = ssl.create_default_context(cafile=ACCOUNT / "ca.crt")
    try:
        with urllib.request.urlopen(request, timeout=30, context=trusted) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def review(told: dict[str, Any], kind: str, group: str, spec: object) -> Any:
    """Ask the API server about ourselves."""
    body = {"apiVersion": f"{group}/v1", "kind": kind, "spec": spec}
    return ask(told, f"/apis/{group}/v1/{kind.lower()}s", body)[1]["status"]


def opened(database: str, login: dict[str, str]) -> str:
    """Log in to a database with the app's login, and return "open" or the refusal."""
    password = (COLUMN / "database/password").read_text().strip()
    try:
        psycopg.connect(dbname=database, password=password, sslmode="disable", connect_timeout=30, **login).close()
    except psycopg.OperationalError as error:
        return str(error)
    return "open"


def reached(place: dict[str, str], copied_to: str) -> dict[str, str]:
    """Try the thread's key at a place, and return "done" or the refusal for each attempt."""
    key = json.loads((COLUMN / "database/b2/key.json").read_text())["current"]
    s3 = Session().create_client(
        "s3",
        region_name=key["region"],
        endpoint_url=key["endpoint"],
        aws_access_key_id=key["key_id"],
        aws_secret_access_key=key["secret"],
        config=Config(
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            retries={"total_max_attempts": 1},
        ),
    )

    def tried(call: Callable[..., object], **arguments: object) -> str:
        try:
            call(Bucket=key["bucket"], **arguments)
        except ClientError as error:
            return str(error.response["Error"]["Message"])
        return "done"

    new = f"{place['prefix']}intruder"
    return {
        "list": tried(s3.list_objects_v2, Prefix=place["prefix"]),
        "get": tried(s3.get_object, Key=place["key"]),
        "put": tried(s3.put_object, Key=new, Body=b"was here"),
        "copy": tried(s3.copy_object, Key=copied_to, CopySource={"Bucket": key["bucket"], "Key": place["key"]}),
        "hide": tried(s3.delete_object, Key=new),
    }


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
