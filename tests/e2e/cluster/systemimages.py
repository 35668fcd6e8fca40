"""The images that a new cluster starts from, under the names that kubeadm's manifests use; none is pulled."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.cluster.archive import Config, pack
from tests.e2e.cluster.steps import FILES, product, remove, run
from tests.support import gobuild

_REGISTRY = "registry.k8s.io"
_LIBRARIES = "usr/lib/x86_64-linux-gnu"
_TABLES = ("xtables-nft-multi", "xtables-legacy-multi")


@dataclass(frozen=True)
class SystemImages:
    """Writes image files into `target`; `node` is the node's root file system, which lends iptables."""

    node: Path
    target: Path

    def write(self) -> None:
        """Write all of them."""
        for program in gobuild.CONTROL_PLANE:
            self._program(program, f"{_REGISTRY}/{program.name}:{gobuild.KUBERNETES}", "usr/local/bin")
        self._program(gobuild.ETCD, f"{_REGISTRY}/etcd:3.6.5-0", "usr/local/bin")
        self._program(gobuild.COREDNS, f"{_REGISTRY}/coredns/coredns:v1.12.1", "", "/coredns")
        self._program(gobuild.LOCAL_PATH, "cadre-e2e/local-path-provisioner:1", "")
        self._with_iptables(gobuild.KUBE_PROXY, f"{_REGISTRY}/kube-proxy:{gobuild.KUBERNETES}")
        self._with_iptables(gobuild.NETPOL, "cadre-e2e/netpol:1", "netpol")
        self._pause()
        self._tools()

    def _program(self, program: gobuild.Program, name: str, folder: str, *entrypoint: str) -> None:
        root = self._root()
        _install(gobuild.build(program), root / folder / program.name)
        self._pack(root, program.name, Config((name,), entrypoint))

    def _with_iptables(self, program: gobuild.Program, name: str, *entrypoint: str) -> None:
        root = self._root()
        _install(gobuild.build(program), root / "usr/local/bin" / program.name)
        for folder in ("etc", "run", "tmp", "lib64", _LIBRARIES):
            (root / folder).mkdir(parents=True, exist_ok=True)
        (root / "lib").symlink_to("usr/lib")
        for shared in (*_TABLES, "nft"):
            _install(self.node / "usr/sbin" / shared, root / "usr/sbin" / shared)
        for alias, tool in _table_names():
            (root / "usr/sbin" / alias).symlink_to(tool)
        shutil.copytree(self.node / _LIBRARIES / "xtables", root / _LIBRARIES / "xtables", symlinks=True)
        for library in self._libraries():
            into = root / ("lib64" if library.startswith("/lib64/") else _LIBRARIES)
            shutil.copy(self.node / library.lstrip("/"), into)
        self._pack(root, program.name, Config((name,), entrypoint))

    def _libraries(self) -> list[str]:
        """What iptables, nft and their plugins are linked with, as paths in the node's root."""
        plugins = [
            f"/{path.relative_to(self.node)}" for path in (self.node / _LIBRARIES / "xtables").glob("*.so")
        ]
        tools = [f"/usr/sbin/{tool}" for tool in (*_TABLES, "nft")]
        listing = run(["chroot", self.node, "ldd", *tools, *plugins])
        return sorted(set(re.findall(r"(/(?:usr/)?lib(?:64)?/\S+\.so\S*) \(", listing)))

    def _pause(self) -> None:
        root = self._root()
        _install(pause(), root / "pause")
        names = (f"{_REGISTRY}/pause:3.10", f"{_REGISTRY}/pause:3.10.1")
        self._pack(root, "pause", Config(names, ("/pause",)))

    def _tools(self) -> None:
        root = self._root()
        fill_with_tools(root)
        self._pack(root, "tools", Config(("cadre-e2e/tools:1",)))

    def _root(self) -> Path:
        root = self.target / "root"
        remove(root)
        root.mkdir()
        return root

    def _pack(self, root: Path, name: str, config: Config) -> None:
        pack(root, config, self.target / f"{name}.tar")
        remove(root)


def pause() -> Path:
    """The program that holds a pod's namespaces."""
    source = FILES / "pause.c"
    return product("pause", [source], lambda target: _compile(source, target))


def busybox() -> Path:
    """A shell and its tools in one static program, of Debian."""
    return product("busybox", ["busybox-static"], _extract_busybox)


def fill_with_tools(root: Path) -> None:
    """A root file system with a shell, wget, nc and the like."""
    _install(busybox(), root / "bin/busybox")
    for name in run([busybox(), "--list"]).split():
        if name != "busybox":
            (root / "bin" / name).symlink_to("busybox")
    (root / "etc").mkdir()
    (root / "tmp").mkdir()
    (root / "tmp").chmod(0o1777)


def _compile(source: Path, target: Path) -> None:
    run(["gcc", "-Os", "-static", "-s", "-Wall", "-Wextra", "-Werror", "-o", target, source])


def _extract_busybox(target: Path) -> None:
    folder = target.with_name("busybox.deb")
    remove(folder)
    folder.mkdir()
    run(["apt-get", "download", "-q", "-o", "APT::Sandbox::User=root", "busybox-static"], cwd=folder)
    run(["dpkg-deb", "--extract", next(folder.glob("*.deb")), folder / "content"])
    shutil.copy(folder / "content/bin/busybox", target)
    remove(folder)


def _table_names() -> list[tuple[str, str]]:
    """iptables under each of its names, and the program behind it."""
    found = []
    for version in ("ip", "ip6"):
        for action in ("", "-save", "-restore"):
            found.append((f"{version}tables{action}", "xtables-nft-multi"))
            found.append((f"{version}tables-nft{action}", "xtables-nft-multi"))
            found.append((f"{version}tables-legacy{action}", "xtables-legacy-multi"))
    return found


def _install(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)
    target.chmod(0o755)
