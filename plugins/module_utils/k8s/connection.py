# SPDX-License-Identifier: GPL-3.0-or-later
"""One client of a cluster's API server: requests with limits, and answers in words.

A plain kubeconfig is read here. For all others there is the Python package `kubernetes`, of which only what has been
the same since version 24 is used: reading a kubeconfig, with all its ways to log in, and the connection pool that comes
of it.
"""

from __future__ import annotations

import json
import os
import ssl
import threading
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..contract.errors import ConfigurationError, Unavailable
from .kubeconfig import PlainLogin, check_context, plain_login

if TYPE_CHECKING:
    import urllib3

MANAGER = "fanout.backup"
# Requests at a time: more would wait in the server's own queue for one user.
PARALLEL = 8
_TIMEOUT = 30.0


@dataclass(frozen=True)
class Answer:
    """An answer of the API server: the status of HTTP, and the object, or the words of a log."""

    status: int
    body: Any
    text: str

    @property
    def message(self) -> str:
        """The server's own words."""
        said = self.body.get("message") if isinstance(self.body, Mapping) else None
        return str(said or self.text[:200] or f"HTTP {self.status}")


class Connection:
    """Requests to one API server, from any number of threads. `prefix` begins the names of the variables that say how
    to reach it: app_kubeconfig."""

    def __init__(
        self, server: str, prefix: str, pool: urllib3.PoolManager, authorization: Callable[[], Mapping[str, str]]
    ) -> None:
        self.server = server
        self.prefix = prefix
        self._pool = pool
        self._authorization = authorization

    def request(
        self, method: str, path: str, query: Mapping[str, str | None], body: object = None, content_type: str = ""
    ) -> Answer:
        """Send one request; parameters that are None are left out. Raise Unavailable if no answer comes."""
        import urllib3

        sent = {name: value for name, value in query.items() if value is not None}
        url = f"{self.server}{path}" + (f"?{urllib.parse.urlencode(sent)}" if sent else "")
        headers = {"Accept": "application/json, */*", "User-Agent": MANAGER, **self._authorization()}
        if body is not None:
            headers["Content-Type"] = content_type or "application/json"
        try:
            # urllib3 repeats what never arrived, and reads: a write that may have been done is not repeated.
            answer = self._pool.request(
                method,
                url,
                body=None if body is None else json.dumps(body).encode(),
                headers=headers,
                timeout=urllib3.Timeout(connect=10.0, read=_TIMEOUT),
                retries=urllib3.Retry(total=2, redirect=0, backoff_factor=0.2),
            )
        except urllib3.exceptions.HTTPError as error:
            raise Unavailable(
                f"{self.server} does not answer ({_reason(error)})",
                remedy=f"check that the cluster runs, and {self.prefix}_kubeconfig and {self.prefix}_kube_context",
            ) from None
        text = answer.data.decode("utf-8", errors="replace")
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        return Answer(answer.status, found, text)


def open_connection(kubeconfig: str | None, context: str | None, prefix: str = "app") -> Connection:
    """Return a connection to the cluster that a kubeconfig names. Raise ConfigurationError if it names none."""
    file = kubeconfig or os.environ.get("K8S_AUTH_KUBECONFIG") or None
    context = context or os.environ.get("K8S_AUTH_CONTEXT") or None
    login = plain_login(file, context)
    pool = None if login is None else _pool(login)
    if login is None or pool is None:
        check_context(file, context, prefix)
        return _by_the_package(file, context, prefix)
    headers = {"authorization": f"Bearer {login.token}"} if login.token else {}
    return Connection(login.server, prefix, pool, lambda: headers)


def _pool(login: PlainLogin) -> urllib3.PoolManager | None:
    """Return connections that prove who they are, or None if the certificates cannot be used."""
    import urllib3
    from urllib3.util.ssl_ import create_urllib3_context

    context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED)
    try:
        if login.authority is None:
            context.load_default_certs()
        else:
            context.load_verify_locations(cadata=login.authority.decode("ascii"))
        if login.certificate is not None:
            # OpenSSL takes a certificate from files only. This one lies on no disk.
            with os.fdopen(os.memfd_create("login"), "wb") as file:
                file.write(login.certificate + b"\n" + (login.key or b""))
                file.flush()
                context.load_cert_chain(f"/proc/self/fd/{file.fileno()}")
    except (AttributeError, OSError, ValueError):  # there are files without a disk on Linux only
        return None
    return urllib3.PoolManager(maxsize=2 * PARALLEL, ssl_context=context)


def _by_the_package(file: str | None, context: str | None, prefix: str) -> Connection:
    from kubernetes.client import Configuration
    from kubernetes.config import ConfigException, kube_config

    settings = Configuration()
    settings.connection_pool_maxsize = 2 * PARALLEL
    try:
        client = kube_config.new_client_from_config(
            config_file=None if file is None else str(Path(file).expanduser()),
            context=context,
            persist_config=False,
            client_configuration=settings,
        )
    except (ConfigException, OSError, ValueError, TypeError, KeyError) as error:
        # Its text may quote the file, which holds secrets.
        said = str(error).splitlines()[0] if isinstance(error, (ConfigException, OSError)) and str(error) else ""
        raise ConfigurationError(
            f"{file or 'the kubeconfig'} names no cluster ({said or type(error).__name__})",
            remedy=f"set {prefix}_kubeconfig to a file that works with kubectl",
        ) from None
    configuration, one_at_a_time = client.configuration, threading.Lock()

    def authorization() -> dict[str, str]:
        with one_at_a_time:  # it may run a program that renews a token
            found = configuration.auth_settings().values()
        return {one["key"]: one["value"] for one in found if one["in"] == "header" and one["value"]}

    return Connection(str(configuration.host).rstrip("/"), prefix, client.rest_client.pool_manager, authorization)


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", None) or error
    text = str(reason).splitlines()[0] if str(reason) else type(reason).__name__
    return text.rpartition(": ")[2][:200]
