# SPDX-License-Identifier: GPL-3.0-or-later
"""Manifests that tests start from."""

from __future__ import annotations

from typing import Any

from .access import Access, until

_UNPRIVILEGED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
}


def restricted(
    image: str, *command: str, user: int = 10001, writable: tuple[str, ...] = ("/tmp",), **container: Any
) -> dict[str, Any]:
    """The spec of a pod with one container that passes the level `restricted`, with a read-only root file system.

    `command` replaces the image's entrypoint if given; the folders `writable` are empty at first and end with the pod;
    `container` is merged into the container."""
    folders = {f"writable-{number}": folder for number, folder in enumerate(writable)}
    main: dict[str, Any] = {
        "name": "main",
        "image": image,
        "imagePullPolicy": "IfNotPresent",  # there is no registry
        "securityContext": _UNPRIVILEGED,
        "volumeMounts": [{"name": name, "mountPath": folder} for name, folder in folders.items()],
        **({"command": list(command)} if command else {}),
        **container,
    }
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 5,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": user,
            "runAsGroup": user,
            "fsGroup": user,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [main],
        "volumes": [{"name": name, "emptyDir": {}} for name in folders],
    }


def postgresql_pod(access: Access, password: str) -> dict[str, Any]:
    """The spec of a pod that serves PostgreSQL without databases. Its superuser is `postgres`."""
    return restricted(
        access.cluster.images.postgresql,
        user=999,
        writable=("/tmp", "/var/run/postgresql", "/var/lib/postgresql"),
        env=[{"name": "POSTGRES_PASSWORD", "value": password}],
        # Over TCP: the server that initdb starts for itself is reached by no address. Asked at the start only: a probe
        # that takes too long on a busy machine would make its Service forget a server that is well.
        startupProbe={
            "exec": {"command": ["pg_isready", "--host=127.0.0.1"]},
            "periodSeconds": 1,
            "timeoutSeconds": 10,
            "failureThreshold": 300,
        },
    )


def serve_postgresql(access: Access, namespace: str, password: str, name: str = "postgresql") -> str:
    """Start a PostgreSQL server without databases and wait until it answers. Return its host name for pods.

    Its superuser is `postgres`. It is gone when its namespace is."""
    labels = {"fanout-test": name}
    spec = postgresql_pod(access, password)
    access.core.create_namespaced_service(
        namespace, {"metadata": {"name": name}, "spec": {"selector": labels, "ports": [{"port": 5432}]}}
    )
    access.ready_pod(namespace, {"metadata": {"name": name, "labels": labels}, "spec": spec})
    host = f"{name}.{namespace}.svc.cluster.local"
    # The node learns what is behind a Service some time after the server has become ready.
    ask = ("pg_isready", f"--host={host}", "--timeout=5")
    until(f"{host} answers", lambda: access.execute(namespace, name, *ask).exit_code == 0)
    return host
