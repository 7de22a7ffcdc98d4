# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs that make a node a cluster, and the order in which they start."""

from __future__ import annotations

from pathlib import Path

from .build import Binaries
from .configuration import NODE, Certificates, Layout

Command = tuple[str, ...]


def commands(layout: Layout, binaries: Binaries, certificates: Certificates) -> dict[str, Command]:
    """Return {name: command} of all components in the order of their start."""
    return {
        "containerd": ("containerd", "--config", str(layout.file("containerd.toml"))),
        "etcd": _etcd(layout, binaries.etcd),
        "kube-apiserver": _api_server(layout, binaries, certificates),
        "kube-controller-manager": _controller_manager(layout, binaries, certificates),
        "kube-scheduler": (
            *_with_kubeconfig(layout, binaries, "kube-scheduler"),
            "--leader-elect=false",
            "--bind-address=127.0.0.1",
        ),
        "kube-proxy": (str(binaries.kubernetes / "kube-proxy"), f"--config={layout.file('kube-proxy.yaml')}"),
        "coredns": (str(binaries.coredns), "-conf", str(layout.file("Corefile"))),
        "kubelet": (
            *_with_kubeconfig(layout, binaries, "kubelet"),
            f"--config={layout.file('kubelet.yaml')}",
            f"--root-dir={layout.folder}/kubelet",
            f"--hostname-override={NODE}",
            f"--node-ip={layout.network.node}",
        ),
    }


def _etcd(layout: Layout, etcd: Path) -> Command:
    """Only the API server may call it, and nothing in it outlives the node: no fsync."""
    return (
        str(etcd),
        f"--data-dir={layout.folder}/etcd",
        "--listen-client-urls=http://127.0.0.1:2379",
        "--advertise-client-urls=http://127.0.0.1:2379",
        "--listen-peer-urls=http://127.0.0.1:2380",
        "--unsafe-no-fsync",
    )


def _api_server(layout: Layout, binaries: Binaries, certificates: Certificates) -> Command:
    return (
        str(binaries.kubernetes / "kube-apiserver"),
        "--etcd-servers=http://127.0.0.1:2379",
        f"--bind-address={layout.network.node}",
        f"--advertise-address={layout.network.node}",
        "--secure-port=6443",
        f"--service-cluster-ip-range={layout.network.services}",
        f"--tls-cert-file={certificates.api_server.certificate}",
        f"--tls-private-key-file={certificates.api_server.key}",
        f"--client-ca-file={certificates.authority.certificate}",
        f"--service-account-key-file={certificates.service_accounts.certificate}",
        f"--service-account-signing-key-file={certificates.service_accounts.key}",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        f"--kubelet-client-certificate={certificates.api_server_to_kubelet.certificate}",
        f"--kubelet-client-key={certificates.api_server_to_kubelet.key}",
        f"--kubelet-certificate-authority={certificates.authority.certificate}",
        "--kubelet-preferred-address-types=InternalIP",
        "--profiling=false",
    )


def _controller_manager(layout: Layout, binaries: Binaries, certificates: Certificates) -> Command:
    return (
        *_with_kubeconfig(layout, binaries, "kube-controller-manager"),
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        "--use-service-account-credentials",
        f"--flex-volume-plugin-dir={layout.folder}/volume-plugins",  # it would make one below /usr
        f"--root-ca-file={certificates.authority.certificate}",
        f"--service-account-private-key-file={certificates.service_accounts.key}",
        f"--cluster-signing-cert-file={certificates.authority.certificate}",
        f"--cluster-signing-key-file={certificates.authority.key}",
    )


def _with_kubeconfig(layout: Layout, binaries: Binaries, name: str) -> Command:
    return (str(binaries.kubernetes / name), f"--kubeconfig={layout.file(f'{name}.kubeconfig')}")
