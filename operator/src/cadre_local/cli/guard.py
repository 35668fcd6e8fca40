"""`cadre guard …`: what the guard would see and mask in a text, on this machine, without a controller."""

import sys
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from cadre_local.cli.context import Session, pass_session
from cadre_local.cli.framework import Command, Group
from cadre_local.errors import CadreError, Exit
from cadre_local.masking import LocalMasker, batch, entities
from cadre_local.render.masking import COLOURS, highlighted, masked_diff

_source = click.argument("source", type=click.Path(path_type=Path), default=Path("-"))
_language = click.option(
    "--language", "languages", multiple=True, default=("en",), help="en, fr; may be repeated."
)


@click.group(cls=Group)
def guard() -> None:
    """Scan and mask text on this machine."""


@guard.command(cls=Command)
@_source
@_language
@click.option("--jsonl", is_flag=True, help='{"id","text"} a line in, {"id","entities"} a line out.')
@click.option("--fail-on-findings", is_flag=True, help="Exit 1 when anything is found (for hooks and CI).")
@pass_session
def scan(
    session: Session, source: Path, languages: tuple[str, ...], jsonl: bool, fail_on_findings: bool
) -> int:
    """Find entities in a file (`-` = standard input)."""
    masker = LocalMasker(languages)
    if jsonl:
        for line in batch(_read(source).split("\n"), masker):
            click.echo(line)
        return int(Exit.OK)
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
@pass_session
def mask(session: Session, source: Path, languages: tuple[str, ...]) -> None:
    """Mask a file (`-` = standard input) and show what changed.

    The key is thrown away: these tokens mean nothing to a controller. Piped output is the masked text alone.
    """
    text = _read(source)
    masked = LocalMasker(languages).mask(text)

    def render(console: Console) -> None:
        if console.is_terminal:
            for line in masked_diff(text, masked):
                console.print(line)
        else:
            click.echo(masked, nl=False)

    session.emit({"masked": masked}, render)


def _read(source: Path) -> str:
    try:
        data = sys.stdin.buffer.read() if str(source) == "-" else source.read_bytes()
        return data.decode("utf-8")
    except OSError as error:
        raise CadreError("Unreadable", f"cannot read {source}: {error.strerror}", "check the path") from error
    except UnicodeDecodeError as error:
        raise CadreError(
            "NotUtf8", f"{source} is not UTF-8 text (byte {error.start})", "convert it to UTF-8"
        ) from error
