"""The project's own images, built from its Dockerfile on the Docker daemon that can be had."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.cluster import debian
from tests.e2e.cluster.host import docker, pulled
from tests.e2e.cluster.steps import CACHE, FILES, REPOSITORY, exclusive, remove, run, timed

TARGETS = ("operator", "controller", "guard", "examples", "agent")
_SOURCES = ("crds/src", "operator/src", "controller_api/src", "guard_image", "examples")
_CERTIFICATES_FOLDER = ".cache/extra-ca"
_CONTEXT_TOP = ("Dockerfile", ".dockerignore", "pyproject.toml", "requirements.lock", "README.md", "LICENSE")
_PULLED = "debian:12-slim"
_CERTIFICATES = Path(os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt"))


@dataclass(frozen=True)
class Image:
    """One image of this checkout."""

    target: str
    name: str
    """With a tag that names the content."""
    identity: str
    size: int
    """Bytes."""


def build_all() -> tuple[Image, ...]:
    """Build every target, reusing layers of unchanged inputs.

    E2E_IMAGES=built takes the last ones; E2E_IMAGES=committed takes sources as the last commit has them.
    """
    if os.environ.get("E2E_IMAGES") == "built":
        return tuple(_named(target) for target in (*TARGETS, "postgres"))
    with exclusive("images"):
        base = base_image()
        arguments = ["--build-arg", f"BASE={base}", "--build-arg", f"EXTRA_CA={_extra_ca()}"]
        context = _context("HEAD" if os.environ.get("E2E_IMAGES") == "committed" else "")
        own = tuple(_build(target, [*arguments, "--target", target], context) for target in TARGETS)
        database = ["--build-arg", f"BASE={base}", "--file", str(FILES / "postgres.Dockerfile")]
        return (*own, _build("postgres", database, FILES))


def build_revision(revision: str, targets: Sequence[str]) -> tuple[Image, ...]:
    """The same Dockerfile and dependencies over the sources of an earlier revision of this repository."""
    if os.environ.get("E2E_IMAGES") == "built":
        return tuple(_named(target, "earlier") for target in targets)
    with exclusive("images"):
        arguments = ["--build-arg", f"BASE={base_image()}", "--build-arg", f"EXTRA_CA={_extra_ca()}"]
        context = _context(revision)
        return tuple(_build(one, [*arguments, "--target", one], context, "earlier") for one in targets)


def _build(target: str, arguments: list[str], context: Path, tag: str = "built") -> Image:
    with timed(f"image {target} ({tag})"):
        command = ("build", "--network=host", *arguments, "--tag", f"cadre/{target}:{tag}", context)
        docker(*command, timeout=3600)
    return _named(target, tag)


def _named(target: str, tag: str = "built") -> Image:
    moving = f"cadre/{target}:{tag}"
    identity, size = docker("image", "inspect", "--format", "{{.Id}} {{.Size}}", moving).split()
    name = f"cadre/{target}:{identity.removeprefix('sha256:')[:12]}"
    docker("tag", moving, name)
    return Image(target, name, identity, int(size))


def _context(revision: str = "") -> Path:
    """A copy of what images are made of: all targets see the same files, also while someone edits them."""
    context = CACHE / "context"
    remove(context)
    if revision:
        unpack_revision(revision, _SOURCES, context)
    for folder in (_CERTIFICATES_FOLDER,) if revision else (*_SOURCES, _CERTIFICATES_FOLDER):
        shutil.copytree(REPOSITORY / folder, context / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in _CONTEXT_TOP:
        shutil.copy2(REPOSITORY / file, context / file)
    return context


def unpack_revision(revision: str, paths: Sequence[str], target: Path) -> None:
    """Files of an earlier revision. Raises StepFailedError where this clone does not have it."""
    packed = CACHE / "revision.tar"
    run(["git", "archive", "--output", packed, revision, *paths], cwd=REPOSITORY)
    target.mkdir(parents=True)
    run(["tar", "-xf", packed, "-C", target])
    packed.unlink()


def base_image() -> str:
    """Debian from a registry where one answers, else from packages."""
    return _PULLED if pulled(_PULLED) else _made_base()


def _made_base() -> str:
    root = debian.base()
    name = f"cadre/base:{root.name.rpartition('-')[2]}"
    if not docker("image", "ls", "--quiet", name).strip():
        with timed("base image"):
            packed = CACHE / "base.tar"
            shutil.make_archive(str(packed.with_suffix("")), "tar", root)
            docker("import", packed, name)
            packed.unlink()
    return name


def _extra_ca() -> str:
    """What this machine trusts, in the build context: builds may pass a proxy that inspects TLS."""
    folder = REPOSITORY / ".cache" / "extra-ca"
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / "machine.crt"
    content = _CERTIFICATES.read_bytes() if _CERTIFICATES.exists() else b""
    if not target.exists() or target.read_bytes() != content:
        target.write_bytes(content)
    return str(folder.relative_to(REPOSITORY))
