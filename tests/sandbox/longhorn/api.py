# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests to the API server, written apart from the library: what is tested is not what tests it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

Object = dict[str, Any]

LONGHORN = "/apis/longhorn.io/v1beta2/namespaces/longhorn-system"
_MERGE = "application/merge-patch+json"


class ApiError(Exception):
    """The API server's refusal. `status` is that of HTTP."""

    def __init__(self, status: int, body: Mapping[str, Any]) -> None:
        super().__init__(f"{status}: {body.get('message')}")
        self.status = status
        self.body = body


class Api:
    """One login at one API server."""

    def __init__(self, client: Any) -> None:
        self._pool = client.rest_client.pool_manager
        self._host = client.configuration.host

    def request(self, method: str, path: str, body: object = None, content_type: str = "application/json") -> Object:
        """Send a request and return the answer. Raise ApiError if it is not one of success."""
        answer = self._pool.request(
            method,
            self._host + path,
            body=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": content_type} if body is not None else {},
            timeout=30,
        )
        if not 200 <= answer.status < 300:
            raise ApiError(answer.status, _error(answer.data))
        found: Object = json.loads(answer.data) if answer.data else {}
        return found

    def get(self, path: str) -> Object:
        return self.request("GET", path)

    def find(self, path: str) -> Object | None:
        """Return an object, or None if it is not there."""
        try:
            return self.get(path)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def items(self, path: str) -> list[Object]:
        found: list[Object] = self.get(path).get("items") or []
        return found

    def create(self, path: str, body: Object) -> Object:
        return self.request("POST", path, body)

    def patch(self, path: str, change: object) -> Object:
        """Merge a change into an object. Of one that is gone, return nothing."""
        try:
            return self.request("PATCH", path, change, _MERGE)
        except ApiError as error:
            if error.status == 404:
                return {}
            raise

    def apply(self, path: str, body: Object) -> Object:
        """Have an object be like this, whatever it was."""
        query = "?fieldManager=fanout-test&force=true"
        return self.request("PATCH", path + query, body, "application/apply-patch+yaml")

    def delete(self, path: str, **options: Any) -> None:
        """Delete an object, or all of a collection. One that is gone is a success."""
        try:
            self.request("DELETE", path, options or None)
        except ApiError as error:
            if error.status != 404:
                raise


def _error(data: bytes) -> Mapping[str, Any]:
    """What the API server says of an error, which is plain text for a kind that it does not serve."""
    try:
        found: Mapping[str, Any] = json.loads(data)
    except ValueError:
        return {"message": data.decode(errors="replace").strip()}
    return found
