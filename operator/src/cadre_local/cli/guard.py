"""`cadre guard …`: what the guard would see and mask in a text, on this machine, without a controller; and
what people ruled about findings.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO

import click
from rich.console import Console
from rich.text import Text

from cadre_local.batch import Batch
from cadre_local.cli.context import Session, pass_session
from cadre_local.cli.framework import Command, Group
from cadre_local.cli.rulings import add, list_rulings, release, revoke
from cadre_local.errors import CadreError, Exit
from cadre_local.masking import LocalMasker, entities, restore
from cadre_local.render.masking import COLOURS, highlighted, masked_diff
from cadre_local.tokenmap import TokenMap

_source = click.argument("source", type=click.Path(path_type=Path), default=Path("-"))
_language = click.option(
    "--language", "languages", multiple=True, default=("en",), help="en, de, fr, es …; may be repeated."
)
_key_file = click.option(
    "--key-file",
    type=click.Path(path_type=Path),
    help="Key of token maps. Default: one of this installation.",
)


@click.group(cls=Group)
def guard() -> None:
    """Scan, mask and restore text on this machine; say what the guards of agents find wrongly, or miss."""


for _command in (release, add, list_rulings, revoke):
    guard.add_command(_command)


@guard.command(cls=Command)
@_source
@_language
@click.option(
    "--jsonl",
    is_flag=True,
    help='{"id","text"} a line in, {"id","entities"} a line out; a bad line gets {"id","line","error"}.',
)
@click.option(
    "--jobs", type=click.IntRange(0, 64), default=0, help="Processes for --jsonl. Default: up to 4."
)
@click.option("--fail-on-findings", is_flag=True, help="Exit 1 when anything is found (for hooks and CI).")
@pass_session
def scan(
    session: Session,
    source: Path,
    languages: tuple[str, ...],
    jsonl: bool,
    jobs: int,
    fail_on_findings: bool,
) -> int:
    """Find entities in a file (`-` = standard input).

    With --jsonl answers stream in the order of the lines; the exit code is 1 when a line got an error.
    """
    masker = LocalMasker(languages)
    if jsonl:
        return _scan_lines(source, masker, jobs, fail_on_findings)
    text = _read(source)
    found = masker.scan(text)

    def render(console: Console) -> None:
        console.print(highlighted(text.rstrip("\n"), found))
        counts: dict[tuple[str, str], int] = {}
        for finding in found:
            key = (finding.entity_type, finding.data_class)
            counts[key] = counts.get(key, 0) + 1
        for (kind, data_class), count in sorted(counts.items()):
            console.print(Text(f"{count:>4} {kind} ({data_class})", COLOURS.get(data_class, "cyan")))

    session.emit({"entities": entities(found)}, render)
    return int(Exit.REFUSED if found and fail_on_findings else Exit.OK)


@guard.command(cls=Command)
@_source
@_language
@click.option(
    "--map",
    "map_file",
    type=click.Path(path_type=Path),
    help="Keep what the tokens stand for, sealed, in this file; `cadre guard restore` reads it.",
)
@_key_file
@pass_session
def mask(
    session: Session, source: Path, languages: tuple[str, ...], map_file: Path | None, key_file: Path | None
) -> None:
    """Mask a file (`-` = standard input) and show what changed.

    Without --map the key is thrown away and nothing can undo it. Tokens of this machine mean nothing to a
    controller. Piped output is the masked text alone.
    """
    text = _read(source)
    kept = TokenMap(map_file, _key_path(session, key_file)) if map_file else None
    masked, pairs = LocalMasker(languages, key=kept.token_key if kept else b"").mask(text)
    if kept:
        kept.add(pairs)
    session.emit({"masked": masked, "tokens": len(pairs)}, _changes(text, masked))


@guard.command(name="restore", cls=Command)
@_source
@click.option(
    "--map",
    "map_file",
    type=click.Path(path_type=Path),
    required=True,
    help="The sealed map that `cadre guard mask --map` wrote.",
)
@_key_file
@pass_session
def restore_(session: Session, source: Path, map_file: Path, key_file: Path | None) -> None:
    """Put the values back into a masked file (`-` = standard input).

    Tokens that the map does not hold stay as they are.
    """
    text = _read(source)
    restored = restore(text, TokenMap(map_file, _key_path(session, key_file)).read())
    session.emit({"restored": restored}, _changes(text, restored))


def _changes(before: str, after: str) -> Callable[[Console], None]:
    """A coloured diff for people; the bare text for a pipe."""

    def render(console: Console) -> None:
        if console.is_terminal:
            for line in masked_diff(before, after):
                console.print(line)
        else:
            click.echo(after, nl=False)

    return render


def _scan_lines(source: Path, masker: LocalMasker, jobs: int, fail_on_findings: bool) -> int:
    failed = found = 0
    with _opened(source) as stream:
        for block in Batch(stream, masker, jobs).answers():
            click.echo("\n".join(each.line for each in block))
            failed += sum(each.failed for each in block)
            found += sum(each.found for each in block)
    return int(Exit.REFUSED if failed or (found and fail_on_findings) else Exit.OK)


def _key_path(session: Session, key_file: Path | None) -> Path:
    return key_file or session.home.root / "guard.key"


@contextmanager
def _opened(source: Path) -> Iterator[IO[bytes]]:
    try:
        with nullcontext(sys.stdin.buffer) if str(source) == "-" else source.open("rb") as stream:
            yield stream
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        raise CadreError("Unreadable", f"cannot read {source}: {error.strerror}", "check the path") from error


def _read(source: Path) -> str:
    with _opened(source) as stream:
        data = stream.read()
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CadreError(
            "NotUtf8", f"{source} is not UTF-8 text (byte {error.start})", "convert it to UTF-8"
        ) from error
