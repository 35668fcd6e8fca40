"""Image files without a builder: one folder, one layer, as `docker save` writes them; same in, same out."""

import hashlib
import io
import json
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Config:
    """How the image starts."""

    names: tuple[str, ...]
    entrypoint: tuple[str, ...] = ()


def pack(root: Path, config: Config, target: Path) -> None:
    """Write the content of `root` as an image file; everything belongs to root and has no age."""
    layer = _layer(root)
    settings = _json(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Env": [_PATH], "Entrypoint": list(config.entrypoint) or None},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{_sha256(layer)}"]},
            "history": [{"created_by": "tests/e2e/cluster"}],
        }
    )
    members = {f"{_sha256(settings)}.json": settings, f"{_sha256(layer)}/layer.tar": layer}
    index = [{"Config": next(iter(members)), "RepoTags": config.names, "Layers": list(members)[1:]}]
    members["manifest.json"] = _json(index)
    with tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


def _layer(root: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for path in sorted(root.iterdir()):
            archive.add(path, path.name, filter=_anonymous)
    return buffer.getvalue()


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mtime = 0
    return entry


def _json(value: Sequence[object] | dict[str, object]) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
