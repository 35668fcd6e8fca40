"""The root file system of a kind node: Debian, kind's own files, and the Kubernetes programs built here."""

import json
import re
import shutil
from pathlib import Path

from tests.e2e.cluster import debian
from tests.e2e.cluster.steps import FILES, remove, run
from tests.support import gobuild

PACKAGES = (
    *("systemd", "conntrack", "iptables", "nftables", "iproute2", "ethtool", "util-linux", "mount", "kmod"),
    *("libseccomp2", "pigz", "e2fsprogs", "bash", "ca-certificates", "jq", "procps", "socat"),
    *("containerd", "runc", "containernetworking-plugins"),
)
_CNI = ("bridge", "host-local", "loopback", "portmap", "ptp")
_UNITS_REMOVED = (
    "lib/systemd/system/sysinit.target.wants/systemd-tmpfiles-setup.service",
    "lib/systemd/system/multi-user.target.wants/*",
    "etc/systemd/system/*.wants/*",
    "lib/systemd/system/local-fs.target.wants/*",
    "lib/systemd/system/sockets.target.wants/*udev*",
    "lib/systemd/system/sockets.target.wants/*initctl*",
    "lib/systemd/system/basic.target.wants/*",
)


def packages() -> Path:
    """Debian with what a node needs."""
    return debian.with_packages("node-packages", PACKAGES)


def kind_files() -> Path:
    """kind's files for its base image, at the version whose program is built."""
    folder = gobuild.KIND.folder
    run(["go", "mod", "download", "sigs.k8s.io/kind"], cwd=folder, env={"GOFLAGS": "-mod=readonly"})
    where = run(["go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/kind"], cwd=folder)
    return Path(where.strip()) / "images" / "base" / "files"


def assemble(root: Path) -> None:
    """Write the node's root file system to `root`."""
    run(["cp", "-a", "--reflink=auto", packages(), root])
    _kind_files(root)
    _systemd(root)
    _containerd(root)
    _network(root)
    for program in gobuild.NODE:
        _install(gobuild.build(program), root / "usr/bin" / program.name)
    (root / "kind/version").write_text(gobuild.KUBERNETES)
    for manifest in (FILES / "manifests").iterdir():
        _install(manifest, root / "kind/manifests" / manifest.name, 0o644)
    (root / "etc/kubernetes/manifests").mkdir(parents=True, exist_ok=True)


def _kind_files(root: Path) -> None:
    files = kind_files()
    for folder, mode in (("usr/local/bin", 0o755), ("kind/bin", 0o755), ("etc", 0o644)):
        for path in (files / folder).rglob("*"):
            if path.is_file():
                _install(path, root / path.relative_to(files), mode)
    _install(FILES / "entrypoint", root / "kind/bin/cadre-entrypoint")
    _install(FILES / "crictl", root / "usr/local/bin/crictl")


def _systemd(root: Path) -> None:
    """What kind's own Dockerfile does, so that systemd starts nothing a container cannot have."""
    for pattern in _UNITS_REMOVED:
        for path in root.glob(pattern):
            remove(path)
    with (root / "etc/systemd/journald.conf").open("a") as journald:
        journald.write("ReadKMsg=no\n")
    init = root / "sbin/init"
    remove(init)
    init.symlink_to("/lib/systemd/systemd")
    wanted = ["kubelet.service", "containerd.service", "undo-mount-hacks.service"]
    run(["systemctl", f"--root={root}", "enable", *wanted])
    run(["systemctl", f"--root={root}", "mask", "systemd-binfmt.service"])


def _containerd(root: Path) -> None:
    for program in ("containerd", "ctr", "containerd-shim-runc-v2"):
        link = root / "usr/local/bin" / program
        remove(link)
        link.symlink_to(f"/usr/bin/{program}")
    settings = root / "etc/containerd/config.toml"
    # without CAP_SYS_RESOURCE no process may lower its oom_score_adj: a pod then gets containerd's own
    restricted, count = re.subn(r"(restrict_oom_score_adj = )false", r"\1true", settings.read_text())
    if count != 1:
        raise AssertionError("kind's containerd configuration has changed: restrict_oom_score_adj")
    settings.write_text(restricted)
    spec = json.loads(run(["chroot", root, "ctr", "oci", "spec"]))
    hooks = spec.setdefault("hooks", {}).setdefault("createContainer", [])
    hooks.append({"path": "/kind/bin/mount-product-files.sh"})
    spec["process"].pop("rlimits", None)
    (root / "etc/containerd/cri-base.json").write_text(json.dumps(spec))


def _network(root: Path) -> None:
    """Routed point-to-point links, as kind's own network makes: iptables sees every packet between pods."""
    plugins = root / "usr/lib/cni"
    for name in _CNI:
        _install(plugins / name, root / "opt/cni/bin" / name)
    remove(plugins)
    _install(FILES / "pod-addresses", root / "opt/cni/bin/pod-addresses")
    _install(FILES / "pods.conflist", root / "etc/cni/net.d/10-pods.conflist", 0o644)


def _install(source: Path, target: Path, mode: int = 0o755) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    remove(target)
    shutil.copy(source, target)
    target.chmod(mode)
