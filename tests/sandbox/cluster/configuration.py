# SPDX-License-Identifier: GPL-3.0-or-later
"""What the components read: certificates, kubeconfigs, and a file each. YAML is written as JSON, which is YAML."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools import system

from ..places import write_private
from .certificates import Authority, Pair
from .places import Network

NODE = "node1"
PAUSE_IMAGE = "localhost/fanout-test-pause:1"
_PLUGINS = Path(system.PACKAGES["containernetworking-plugins"]).parent


@dataclass(frozen=True)
class Layout:
    """Where one cluster has what. `cgroup` is the name of its cgroup."""

    folder: Path
    network: Network
    cgroup: str

    @property
    def server(self) -> str:
        return f"https://{self.network.node}:6443"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig, for users and tests."""
        return self.folder / "kubeconfig"

    @property
    def containerd_socket(self) -> Path:
        return self.folder / "containerd.sock"

    def file(self, name: str) -> Path:
        return self.folder / "configuration" / name


@dataclass(frozen=True)
class Certificates:
    """The pairs that are named in command lines; those of clients are in their kubeconfigs."""

    authority: Pair
    api_server: Pair
    api_server_to_kubelet: Pair
    kubelet: Pair
    service_accounts: Pair


def write(layout: Layout) -> Certificates:
    """Write all files of a new cluster into its folder, and return the certificates."""
    (layout.folder / "configuration").mkdir()
    (layout.folder / "cni").mkdir()
    certificates = _write_certificates(layout)
    layout.file("containerd.toml").write_text(_containerd(layout))
    (layout.folder / "cni/pods.conflist").write_text(json.dumps(_cni(layout.network)))
    layout.file("kubelet.yaml").write_text(json.dumps(_kubelet(layout, certificates)))
    layout.file("kube-proxy.yaml").write_text(json.dumps(_kube_proxy(layout)))
    layout.file("Corefile").write_text(_corefile(layout))
    # Of what the machine resolves, pods know nothing.
    layout.file("resolv.conf").write_text(f"nameserver {layout.network.node}\n")
    return certificates


def _write_certificates(layout: Layout) -> Certificates:
    authority = Authority(layout.folder / "configuration")
    network = layout.network
    names = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")
    kubelet = authority.issue(f"system:node:{NODE}", "system:nodes", (NODE, network.node, "127.0.0.1"))
    clients = {
        "kubelet": kubelet,
        "kube-controller-manager": authority.issue("system:kube-controller-manager"),
        "kube-scheduler": authority.issue("system:kube-scheduler"),
        "kube-proxy": authority.issue("system:kube-proxy"),
        "coredns": authority.issue("coredns", "system:masters"),
    }
    for name, pair in clients.items():
        _write_kubeconfig(layout, layout.file(f"{name}.kubeconfig"), authority.files, pair)
    _write_kubeconfig(layout, layout.kubeconfig, authority.files, authority.issue("admin", "system:masters"))
    return Certificates(
        authority=authority.files,
        api_server=authority.issue("kube-apiserver", names=(*names, network.node, network.first_service, "127.0.0.1")),
        api_server_to_kubelet=authority.issue("kube-apiserver-kubelet-client", "system:masters"),
        kubelet=kubelet,
        service_accounts=authority.issue_key_pair("service-accounts"),
    )


def _write_kubeconfig(layout: Layout, file: Path, authority: Pair, client: Pair) -> None:
    def encoded(path: Path) -> str:
        return base64.b64encode(path.read_bytes()).decode()

    user = {"client-certificate-data": encoded(client.certificate), "client-key-data": encoded(client.key)}
    server = {"server": layout.server, "certificate-authority-data": encoded(authority.certificate)}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "fanout-test", "cluster": server}],
        "users": [{"name": "user", "user": user}],
        "contexts": [{"name": "fanout-test", "context": {"cluster": "fanout-test", "user": "user"}}],
        "current-context": "fanout-test",
    }
    write_private(file, json.dumps(content, indent=2) + "\n")


def _containerd(layout: Layout) -> str:
    """containerd 1.6 (Debian 12) to 1.7 (Debian 13).

    Without restrict_oom_score_adj and disable_apparmor, pods would not start on machines that are containers."""
    return f"""version = 2
root = "{layout.folder}/containerd"
state = "/run/containerd"
[grpc]
address = "{layout.containerd_socket}"
[plugins."io.containerd.internal.v1.opt"]
path = "{layout.folder}/opt"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE_IMAGE}"
restrict_oom_score_adj = true
disable_apparmor = true
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{_PLUGINS}"
conf_dir = "{layout.folder}/cni"
"""


def _cni(network: Network) -> dict[str, Any]:
    """Each pod gets an interface of its own at the node, which routes between them.

    On a bridge, answers between its ports would not pass the packet filter that maps Services, unless the machine's
    kernel has br_netfilter."""
    addresses = {
        "type": "host-local",
        "ranges": [[{"subnet": network.pods}]],
        "routes": [{"dst": "0.0.0.0/0"}],
        "dataDir": "/run/cni",
    }
    return {"cniVersion": "1.0.0", "name": "pods", "plugins": [{"type": "ptp", "ipam": addresses}]}


def _kubelet(layout: Layout, certificates: Certificates) -> dict[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "containerRuntimeEndpoint": f"unix://{layout.containerd_socket}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{layout.cgroup}",
        "enforceNodeAllocatable": [],
        "failCgroupV1": False,
        "failSwapOn": False,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(certificates.authority.certificate)},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(certificates.kubelet.certificate),
        "tlsPrivateKeyFile": str(certificates.kubelet.key),
        "readOnlyPort": 0,
        "clusterDNS": [layout.network.node],
        "clusterDomain": "cluster.local",
        "resolvConf": str(layout.file("resolv.conf")),
        "podLogsDir": str(layout.folder / "logs/pods"),
        "volumePluginDir": str(layout.folder / "volume-plugins"),
        "maxPods": 60,
        # Nobody could pull again what it removes, and a full disk of the machine is no concern of the tests.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
    }


def _kube_proxy(layout: Layout) -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clusterCIDR": layout.network.pods,
        "hostnameOverride": NODE,
        "clientConnection": {"kubeconfig": str(layout.file("kube-proxy.kubeconfig"))},
        # These belong to the machine, not to the node's network.
        "conntrack": {"maxPerCore": 0, "min": 0},
    }


def _corefile(layout: Layout) -> str:
    """Names of Services, and of nothing outside: a pod that asks for those learns at once that there are none."""
    return f""". {{
    bind {layout.network.node}
    errors
    ready {layout.network.node}:8181
    kubernetes cluster.local in-addr.arpa {{
        kubeconfig {layout.file("coredns.kubeconfig")}
    }}
}}
"""
