# SPDX-License-Identifier: GPL-3.0-or-later
"""What an app's variables say of its pods: what their containers ask for and may take, and on which nodes they run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction

from ..contract.codec import nearest
from ..contract.errors import ConfigurationError
from .variables import Toleration, Variables

RESOURCES = ("cpu", "memory", "ephemeral-storage")

_QUANTITY = re.compile(r"([0-9]{1,12})(m|k|M|G|T|Ki|Mi|Gi|Ti)?|([0-9]{1,9}\.[0-9]{1,3})")
_BINARY = ("Ki", "Mi", "Gi", "Ti", "Pi")
_DECIMAL = ("m", "", "k", "M", "G", "T", "P")
_KEY = re.compile(r"([a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-._A-Za-z0-9]{0,61}[A-Za-z0-9])?")
_VALUE = re.compile(r"([A-Za-z0-9]([-._A-Za-z0-9]{0,61}[A-Za-z0-9])?)?")


def amount(quantity: str) -> Fraction:
    """Return how much a quantity is, such as 500m, 0.5 or 2Gi."""
    number, unit, decimal = _parts(quantity)
    if unit in _BINARY:
        return Fraction(number) * Fraction(1024) ** (_BINARY.index(unit) + 1)
    return Fraction(decimal) if decimal else Fraction(number) * Fraction(1000) ** (_DECIMAL.index(unit) - 1)


def as_served(quantity: str) -> str:
    """Return a quantity as the API server writes it, 1Gi for 1024Mi: one that is sent otherwise differs for ever."""
    number, unit, decimal = _parts(quantity)
    step, units = (1024, _BINARY) if unit in _BINARY else (1000, _DECIMAL)
    if decimal:
        number, unit = str(int(amount(quantity) * 1000)), "m"
    whole, at = int(number), units.index(unit)
    while whole and whole % step == 0:
        whole, at = whole // step, at + 1
    return f"{whole}{units[at]}" if whole else "0"


def _parts(quantity: str) -> tuple[str, str, str]:
    found = _QUANTITY.fullmatch(quantity)
    if found is None:
        raise ValueError(f"{quantity!r} is not a quantity")
    return found[1] or "", found[2] or "", found[3] or ""


def check_pods(given: Variables) -> None:
    """Raise ConfigurationError for resources, tolerations or labels of nodes that no cluster takes."""
    resources = given.app_resources
    _check_amounts(resources.requests, "app_resources.requests")
    _check_amounts(resources.limits, "app_resources.limits")
    for name in resources.requests.keys() & resources.limits.keys():
        if amount(resources.requests[name]) > amount(resources.limits[name]):
            raise ConfigurationError(
                f"app_resources requests more {name} than it limits", remedy=f"correct app_resources.limits.{name}"
            )
    for index, toleration in enumerate(given.app_tolerations):
        _check_toleration(toleration, f"app_tolerations[{index}]")
    for key, value in given.app_node_selector.items():
        _check_label(key, value, "app_node_selector")


def _check_amounts(amounts: Mapping[str, str], where: str) -> None:
    for name, quantity in amounts.items():
        if name not in RESOURCES:
            raise ConfigurationError(
                f"{where} does not know '{name}'{nearest(name, RESOURCES)}", remedy=f"name {', '.join(RESOURCES)}"
            )
        if not _QUANTITY.fullmatch(quantity):
            raise ConfigurationError(
                f"{where}.{name} {quantity!r} is not a quantity",
                remedy=f"write {where}.{name} as Kubernetes does, such as 500m, 2 or 512Mi",
            )


def _check_toleration(toleration: Toleration, where: str) -> None:
    if toleration.operator == "Exists" and toleration.value is not None:
        raise ConfigurationError(f"{where} has a value, and operator Exists", remedy=f"remove {where}.value")
    if toleration.operator == "Equal" and toleration.key is None:
        raise ConfigurationError(f"{where}.key is missing", remedy=f"set {where}.key, or operator to Exists")
    _check_label(toleration.key or "any", toleration.value or "", where)


def _check_label(key: str, value: str, where: str) -> None:
    if not _KEY.fullmatch(key) or not _VALUE.fullmatch(value):
        raise ConfigurationError(
            f"{where}: {key!r} with {value!r} is not what labels and taints are made of",
            remedy="write them as kubectl get node --output yaml shows them",
        )
