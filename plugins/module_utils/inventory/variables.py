# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory's variables: the one list of names, types, defaults and meanings.

The table in docs/, the role's argument_specs and the validation all come from these fields.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from ..contract.destination import B2Destination, DirectoryDestination, Network, S3Destination
from ..contract.thread import Keep, Query


def _variable(meaning: str, **default: Any) -> Any:
    return field(metadata={"meaning": meaning}, **default)  # pylint: disable=invalid-field-call


@dataclass(frozen=True)
class DatabaseSecret:
    """The key of a Secret of the cluster that holds the login's password."""

    namespace: str
    name: str
    key: str = "password"


@dataclass(frozen=True)
class ShrinkLimit:
    """How many percent less of each measure of a database a run may have than the newest good one."""

    bytes: int = 50
    rows: int = 30
    tables: int = 10


@dataclass(frozen=True)
class Resources:
    """What each container of the app's pods asks for and may take of cpu, memory and ephemeral-storage, written as
    Kubernetes does: 500m, 512Mi. What is not named stays as it is."""

    requests: dict[str, str] = field(default_factory=dict)
    limits: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Toleration:
    """A taint of nodes on which the app's pods run all the same, as in the spec of a pod."""

    key: str | None = None
    operator: Literal["Equal", "Exists"] = "Equal"
    value: str | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None


@dataclass(frozen=True)
class Variables:
    """The variables of one app that hold no secret."""

    app_name: str = _variable("The app's name, a DNS label. The role sets it to the inventory host's name.")
    app_database: str = _variable("Name of the PostgreSQL database.")
    app_destinations: dict[str, B2Destination | S3Destination | DirectoryDestination] = _variable(
        "Where copies go, by name: each one failure domain with a C(kind) (C(b2), C(s3) or C(directory)) and how to"
        " reach it."
    )
    app_recovery_recipients: tuple[str, ...] = _variable(
        "age public keys of the owner's offline recovery identities; at least one."
    )
    app_state: Literal["present", "absent"] = _variable(
        "C(absent) stops the column and retires its keys; its backups stay.", default="present"
    )
    app_platform: Literal["host", "kubernetes"] = _variable(
        "What runs the jobs: C(host) is systemd on this machine, C(kubernetes) a cluster with CronJobs.", default="host"
    )
    app_image: str | None = _variable(
        "Image with the command C(fanout), built from runner/Containerfile. Platform C(kubernetes) needs it.",
        default=None,
    )
    app_drill_image: str | None = _variable(
        "The app's own PostgreSQL image, for scratch servers. Platform C(kubernetes) needs it for drills.", default=None
    )
    app_kubeconfig: str | None = _variable(
        "File that says how to reach the cluster. Default: C(K8S_AUTH_KUBECONFIG) or C(KUBECONFIG) of the environment,"
        " or ~/.kube/config.",
        default=None,
    )
    app_kube_context: str | None = _variable(
        "Context in that file. Default: C(K8S_AUTH_CONTEXT) of the environment, or the current one.", default=None
    )
    app_force_conflicts: bool = _variable(
        "Take fields of the column's objects in the cluster away from other managers, such as Flux or Argo CD.",
        default=False,
    )
    app_resources: Resources = _variable(
        "What containers of the app's pods ask for and may take on platform C(kubernetes), where a quota or a range of"
        " the namespace demands other values than the usual ones.",
        default=Resources(),
    )
    app_tolerations: tuple[Toleration, ...] = _variable(
        "Taints of nodes on which the app's pods run all the same. Platform C(kubernetes).", default=()
    )
    app_node_selector: dict[str, str] = _variable(
        "Labels of the nodes on which the app's pods run. Platform C(kubernetes). Default: any node.",
        default_factory=dict,
    )
    app_host_directory: str = _variable("Folder of the columns on platform C(host).", default="/etc/fanout.backup")
    app_prefix: str | None = _variable(
        "Prefix of the app's objects at every destination, ending in a slash. Default: the app's name.", default=None
    )
    app_database_host: str = _variable("Host name or address of the database server itself.", default="127.0.0.1")
    app_database_port: int = _variable("Port of the database server.", default=5432)
    app_database_user: str | None = _variable("Login. Default: the name of the database.", default=None)
    app_database_sslmode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] = _variable(
        "libpq's sslmode.", default="prefer"
    )
    app_database_ca: str | None = _variable(
        "File on the control node with the certificates (PEM) that vouch for the server's, for C(verify-ca) and"
        " C(verify-full). Default: libpq's own, ~/.postgresql/root.crt, which pods do not have.",
        default=None,
    )
    app_database_network: Network | None = _variable(
        "Where the database server is for a NetworkPolicy. Platform C(kubernetes) needs it unless C(app_database_host)"
        " is an address.",
        default=None,
    )
    app_database_secret: DatabaseSecret | None = _variable(
        "The app's own Secret in the cluster, from which each roll-out copies the password of the login.", default=None
    )
    app_database_binaries: tuple[str, ...] = _variable(
        "Folders with PostgreSQL programs that are searched before the system's.", default=()
    )
    app_period: str = _variable("Time between two backups of a thread.", default="1h")
    app_keep: Keep = _variable("How many artifacts stay at each destination.", default=Keep())
    app_shrink_limit: ShrinkLimit = _variable(
        "Percent that a run may be smaller than the newest good one before it is marked.", default=ShrinkLimit()
    )
    app_fresh_within: str | None = _variable("Age at which a copy is stale. Default: two periods.", default=None)
    app_drill_destinations: tuple[str, ...] | None = _variable(
        "Destinations whose copies are drilled. Default: those that are off-site, or all if none is.", default=None
    )
    app_drill_preload: tuple[str, ...] = _variable(
        "Libraries that scratch servers load at their start, beside those that the source loads for its extensions.",
        default=(),
    )
    app_drill_period: str = _variable("Time between two drills.", default="1d")
    app_drill_queries: tuple[Query, ...] = _variable(
        "Questions asked in the dump's snapshot and again of the restored database.", default=()
    )
    app_drilled_within: str | None = _variable(
        "Age at which the last passed drill is stale. Default: two drill periods.", default=None
    )
    app_drill_objective: str = _variable("How long a restore may take.", default="1h")
    app_not_covered: tuple[str, ...] = _variable(
        "What this column does not back up; printed with every drill.", default=()
    )
    app_restore_user: str | None = _variable(
        "Login that restores beside the live database: it makes databases, and roles and extensions where they are"
        " missing. Default: the login of backups.",
        default=None,
    )
    app_deadline: str = _variable("Longest time that one backup, drill or restore may take.", default="6h")
    app_scratch_directory: str = _variable(
        "Folder for dumps in the making, for drills and restores.", default="/var/tmp"
    )
    app_scratch_size: str = _variable(
        "Room in that folder on platform C(kubernetes), in C(Mi), C(Gi) or C(Ti): a drill holds archive and database.",
        default="20Gi",
    )


@dataclass(frozen=True)
class S3Key:
    """An access key of an S3 server, as the inventory's vault holds it."""

    access_key_id: str
    secret_access_key: str


@dataclass(frozen=True)
class Secrets:
    """The variables of one app that hold secrets. They travel apart from the others, in an option with no_log."""

    app_database_password: str | None = _variable("Password of the login.", default=None)
    app_s3_keys: dict[str, S3Key] = _variable(
        "Access keys of destinations of kind C(s3), by destination.", default_factory=dict
    )
    app_restore_password: str | None = _variable(
        "Password of the login that restores. It is stored nowhere: a restore gets it for as long as it runs.",
        default=None,
    )


@dataclass(frozen=True)
class LonghornVolumes:
    """The claims of one server's volumes. A claim that ends in -* stands for those of a StatefulSet: data-db-* are
    data-db-0, data-db-1 and so on."""

    namespace: str
    claims: tuple[str, ...]


@dataclass(frozen=True)
class LonghornKeep:
    """How many snapshots of each volume stay. 0: none are taken."""

    hourly: int = 24
    daily: int = 7


@dataclass(frozen=True)
class LonghornVariables:
    """The variables of one server: what volumes it has, and how often they are snapshotted. None of them is secret."""

    longhorn_server: str = _variable(
        "The server's name, such as that of its group. Apps whose hosts have the same name here are on one server."
    )
    longhorn_volumes: LonghornVolumes = _variable("The server's volumes, named by their PersistentVolumeClaims.")
    longhorn_state: Literal["present", "absent"] = _variable(
        "C(absent) removes the server's recurring jobs and their labels; snapshots stay.", default="present"
    )
    longhorn_keep: LonghornKeep = _variable("How many snapshots of each volume stay.", default=LonghornKeep())
    longhorn_default_group: Literal["keep", "leave"] | None = _variable(
        "What becomes of Longhorn's group C(default), which a volume leaves as soon as it has another job: C(keep)"
        " names it beside our jobs, C(leave) gives it up. It must be set if a volume is in no other group.",
        default=None,
    )
    longhorn_namespace: str = _variable("Where Longhorn is in the cluster.", default="longhorn-system")
    longhorn_kubeconfig: str | None = _variable(
        "File that says how to reach the cluster. Default: C(app_kubeconfig), or as there.", default=None
    )
    longhorn_kube_context: str | None = _variable(
        "Context in that file. Default: C(app_kube_context), or as there.", default=None
    )
    longhorn_force_conflicts: bool = _variable(
        "Take fields of the jobs and labels of the claims away from other managers, such as Flux or Argo CD.",
        default=False,
    )
