"""A chart on disk: which files belong to it, and what is remembered of the last one; light to import."""

import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from cadre_local.errors import CadreError, Exit
from cadre_local.paths import Home, write_private

SUFFIXES = frozenset({".yaml", ".yml"})
RESOURCE = re.compile(r"^(apiVersion|kind)\s*:", re.MULTILINE)
"""What makes a YAML file a resource file; scenarios and values lie beside charts and are none."""
SCENARIO = re.compile(r"^format\s*:\s*cadre-scripted/", re.MULTILINE)
FOREIGN = frozenset({"kustomization.yaml", "kustomization.yml"})
SIZE_LIMIT = 8 * 1024 * 1024
"""Bytes of all documents together."""

SOURCE = "source"
"""File that names where the chart came from."""

Documents = tuple[tuple[str, str], ...]


def read_documents(source: Path, tell: Callable[[str], None] | None = None) -> Documents:
    """(name, text) of a file, or of every resource file below a directory; `tell` gets what is left out."""
    if not source.exists():
        raise CadreError(
            "ChartNotFound", f"{source} does not exist", "pass -f a directory or a YAML file", Exit.USAGE
        )
    files = sorted(_files(source)) if source.is_dir() else [source]
    documents = tuple((_name(file), _read(file)) for file in files)
    chosen = (
        tuple((name, text) for name, text in documents if RESOURCE.search(text))
        if source.is_dir()
        else documents
    )
    left_out = [name for name, text in documents if (name, text) not in chosen and not SCENARIO.search(text)]
    if tell and left_out:
        tell(f"left out, having neither apiVersion nor kind: {', '.join(left_out)}")
    if not any(text.strip() for _, text in chosen):
        raise CadreError(
            "ChartEmpty",
            f"no Cadre resources in {source}",
            "pass -f a directory with apiVersion cadre.dev/v1alpha1",
        )
    if sum(len(text) for _, text in chosen) > SIZE_LIMIT:
        raise CadreError(
            "ChartTooLarge", f"{source} holds more than {SIZE_LIMIT >> 20} MiB of YAML", "split the chart"
        )
    return chosen


def remember(home: Home, source: Path, documents: Documents) -> None:
    """Keep what was applied last, and from where: relative commands of tool servers start there."""
    kept = {SOURCE}
    for index, (name, text) in enumerate(documents):
        target = home.chart / f"{index:03}-{Path(name).name}"
        write_private(target, text)
        kept.add(target.name)
    write_private(home.chart / SOURCE, str(source.resolve()))
    for old in home.chart.iterdir():
        if old.name not in kept:
            old.unlink()


def working_directory(home: Home, chart: Path | None) -> Path:
    """The directory of the chart that is or was applied; the state directory when there is none."""
    with suppress(OSError):
        source = chart or Path((home.chart / SOURCE).read_text())
        directory = source if source.is_dir() else source.parent
        return directory if directory.is_dir() else home.root
    return home.root


def _files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if _belongs(path, root)]


def _belongs(path: Path, root: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
    return path.suffix in SUFFIXES and path.is_file() and path.name not in FOREIGN and not hidden


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise CadreError(
            "NotUtf8", f"{file} is not UTF-8 text (byte {error.start})", "save it as UTF-8"
        ) from error
    except OSError as error:
        raise CadreError(
            "Unreadable", f"cannot read {file}: {error.strerror}", "check its permissions"
        ) from error


def _name(file: Path) -> str:
    relative = os.path.relpath(file)
    return relative if not relative.startswith("..") else str(file)
