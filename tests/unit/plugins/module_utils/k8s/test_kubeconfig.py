# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from fanout.contract.errors import ConfigurationError
from fanout.k8s.connection import open_connection
from fanout.k8s.kubeconfig import PlainLogin, plain_login

PEM = b"-----BEGIN CERTIFICATE-----\n"
DATA = base64.b64encode(PEM).decode()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def written(folder: Path, cluster: dict[str, Any], user: dict[str, Any]) -> str:
    settings = {
        "current-context": "home",
        "contexts": [
            {"name": "home", "context": {"cluster": "home", "user": "owner"}},
            {"name": "other", "context": {"cluster": "other", "user": "owner"}},
        ],
        "clusters": [
            {"name": "home", "cluster": {"server": "https://192.168.1.4:6443/", **cluster}},
            {"name": "other", "cluster": {"server": "https://192.168.1.5:6443"}},
        ],
        "users": [{"name": "owner", "user": user}],
    }
    file = folder / "config"
    file.write_text(yaml.safe_dump(settings))
    return str(file)


def test_certificates_are_read_from_the_file_itself_or_from_beside_it(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_bytes(b"a key")
    file = written(
        tmp_path, {"certificate-authority-data": DATA}, {"client-certificate-data": DATA, "client-key": "key.pem"}
    )

    assert plain_login(file, None) == PlainLogin("https://192.168.1.4:6443", PEM, PEM, b"a key")


def test_a_context_chooses_the_cluster_and_a_token_is_a_login(tmp_path: Path) -> None:
    file = written(tmp_path, {}, {"token": "a-token"})

    assert plain_login(file, "other") == PlainLogin("https://192.168.1.5:6443", token="a-token")


@pytest.mark.parametrize(
    ("cluster", "user"),
    [
        ({"proxy-url": "http://192.168.1.6:3128"}, {}),
        ({"insecure-skip-tls-verify": True}, {}),
        ({"tls-server-name": "home"}, {}),
        ({"server": "http://192.168.1.4:8080"}, {}),
        ({"certificate-authority-data": "not base64!"}, {}),
        ({"certificate-authority": "missing.pem"}, {}),
        ({}, {"exec": {"command": "log-in"}}),
        ({}, {"username": "owner", "password": "a-password"}),
        ({}, {"token": "a-token", "as": "somebody"}),
    ],
)
def test_everything_else_is_left_to_the_package(tmp_path: Path, cluster: dict[str, Any], user: dict[str, Any]) -> None:
    assert plain_login(written(tmp_path, cluster, user), None) is None


def test_what_is_no_kubeconfig_is_left_to_the_package_which_says_so(tmp_path: Path) -> None:
    for text in ("", "[]", "{", "contexts: 1\ncurrent-context: home\n"):
        (tmp_path / "config").write_text(text)
        assert plain_login(str(tmp_path / "config"), None) is None
    assert plain_login(str(tmp_path / "missing"), None) is None
    assert plain_login(written(tmp_path, {}, {}), "no-such-context") is None


def test_a_proxy_of_the_environment_and_several_files_are_left_to_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(tmp_path, {}, {})
    assert plain_login(file, None)
    monkeypatch.setenv("KUBECONFIG", f"{file}:{file}")
    assert plain_login(None, None) is None
    monkeypatch.setenv("HTTPS_PROXY", "http://192.168.1.6:3128")
    assert plain_login(file, None) is None


def test_a_file_that_is_not_there_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = str(tmp_path / "missing")
    with pytest.raises(ConfigurationError) as caught:
        open_connection(missing, None)
    assert f"the kubeconfig {missing} cannot be read (no such file)" in str(caught.value)
    assert caught.value.remedy.startswith("set app_kubeconfig ")

    monkeypatch.delenv("K8S_AUTH_KUBECONFIG", raising=False)
    monkeypatch.setenv("KUBECONFIG", missing)
    with pytest.raises(ConfigurationError, match="no such file"):
        open_connection(None, None, "longhorn")


def test_a_context_that_is_not_in_the_file_is_told_with_those_that_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("K8S_AUTH_CONTEXT", raising=False)
    file = written(tmp_path, {}, {"token": "a-token"})
    with pytest.raises(ConfigurationError) as caught:
        open_connection(file, "prod")
    assert f"the kubeconfig {file} has no context 'prod'" in str(caught.value)
    assert caught.value.remedy == "set app_kube_context to one of home, other"

    text = Path(file).read_text().replace("current-context: home", "current-context: ''")
    Path(file).write_text(text)
    with pytest.raises(ConfigurationError, match="has no current context"):
        open_connection(file, None)


def test_no_secret_is_shown(tmp_path: Path) -> None:
    shown = repr(plain_login(written(tmp_path, {}, {"token": "a-token", "client-key-data": DATA}), None))

    assert "a-token" not in shown
    assert "BEGIN" not in shown
