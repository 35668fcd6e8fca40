"""`cadre audit …`: read the chain, prove it, take it away; proving needs only an export, no controller."""

import base64
import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import urlencode

import click
from rich.console import Console

from cadre_api.protocol.base import type_json
from cadre_core.audit import Checkpoint, VerifyReport, verify_chain, verify_checkpoint
from cadre_local.cli.context import Session, pass_session
from cadre_local.cli.framework import Command, Group
from cadre_local.client.api import CadreApi
from cadre_local.errors import CadreError, Exit
from cadre_local.render.tables import one_line, print_table
from cadre_local.signatures import checker

PAGE = 1000
"""Most events that the server gives at once."""


@click.group(cls=Group)
def audit() -> None:
    """Read, verify and export the audit chain."""


@audit.command("list", cls=Command)
@click.option("--action", default="", help="Only this action, e.g. task.create.")
@click.option("--actor", default="", help="Only this actor's id.")
@click.option("--target", default="", help="Only this target, e.g. a task id.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@pass_session
def list_events(session: Session, action: str, actor: str, target: str, limit: int) -> None:
    """The last events of the chain, oldest first; times are UTC."""
    wanted = {"action": action, "actorId": actor, "target": target}
    rows = _last(session.api(), {key: value for key, value in wanted.items() if value}, limit)
    events = [{"seq": row.get("seq"), **event_of(row)} for row in rows]
    session.emit({"items": events}, lambda console: _print_events(console, events))


@audit.command(cls=Command)
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option(
    "--checkpoint", "checkpoint_file", type=click.Path(path_type=Path), help="Signed checkpoint (JWS)."
)
@click.option("--key", "key_file", type=click.Path(path_type=Path), help="Public key (JWK) kept elsewhere.")
@pass_session
def verify(session: Session, file: Path | None, checkpoint_file: Path | None, key_file: Path | None) -> int:
    """Prove that nothing was altered, left out or put in.

    With FILE offline, from an export; else export and checkpoint are fetched from the controller. A chain
    alone proves that it is whole in itself; the checkpoint proves that it was not rewritten since.
    """
    lines, signed = (_read(file).splitlines(), "") if file else _fetch(session.api())
    if checkpoint_file:
        signed = _read(checkpoint_file).strip()
    key = _pinned_key(key_file) if key_file else _embedded_key(lines)
    checkpoint = verify_checkpoint(signed, checker(key)) if signed else None
    report = verify_chain(lines, checkpoint)
    data = {
        "ok": report.ok,
        "events": report.count,
        "firstBad": report.first_bad,
        "reason": report.reason,
        "checkpoint": checkpoint.seq if checkpoint else None,
        "keyFrom": "file" if key_file else "export",
    }
    session.emit(data, lambda console: _print_verdict(console, report, checkpoint, pinned=bool(key_file)))
    return int(Exit.OK if report.ok else Exit.REFUSED)


@audit.command(cls=Command)
@click.option(
    "-w", "--write", "target", type=click.Path(path_type=Path), help="File instead of standard output."
)
@click.option(
    "--checkpoint", "checkpoint_file", type=click.Path(path_type=Path), help="Also write a checkpoint."
)
@pass_session
def export(session: Session, target: Path | None, checkpoint_file: Path | None) -> None:
    """The whole chain as newline-delimited JSON, as stored."""
    lines, signed = _fetch(session.api())
    text = "".join(f"{line}\n" for line in lines)
    if target:
        _write(target, text)
        click.echo(f"{len(lines) - 1} events in {target}", err=True)
    else:
        click.echo(text, nl=False)
    if checkpoint_file:
        _write(checkpoint_file, signed + "\n")


def event_of(row: type_json) -> type_json:
    """The record inside a stored row, whose canonical bytes come as text, base64 or an object."""
    canonical = row.get("canonical", row)
    if isinstance(canonical, str):
        try:
            canonical = json.loads(canonical)
        except ValueError:
            canonical = json.loads(base64.b64decode(canonical))
    return canonical if isinstance(canonical, dict) else {}


def _last(api: CadreApi, wanted: Mapping[str, str], limit: int) -> Iterable[type_json]:
    """The server pages forward only: read on to the head and keep the end."""
    kept: deque[type_json] = deque(maxlen=limit)
    after = 0
    while True:
        query = urlencode({**wanted, "after": after, "limit": PAGE})
        page = api.items(f"/api/v1/audit/events?{query}")
        kept.extend(page)
        if len(page) < PAGE:
            return kept
        after = int(str(page[-1].get("seq")))


def _fetch(api: CadreApi) -> tuple[list[str], str]:
    """Checkpoint first: the export then holds at least what the checkpoint covers."""
    answer = api.http.text("/api/v1/audit/checkpoint").strip()
    signed = str(json.loads(answer).get("jws", "")) if answer.startswith("{") else answer.strip('"')
    return list(_non_empty(api.http.text("/api/v1/audit/export"))), signed


def _non_empty(text: str) -> Iterator[str]:
    return (line for line in text.splitlines() if line)


def _embedded_key(lines: list[str]) -> type_json:
    try:
        key = json.loads(lines[0])["publicKey"]
    except (IndexError, ValueError, KeyError, TypeError):
        return {}
    return key if isinstance(key, dict) else {}


def _pinned_key(file: Path) -> type_json:
    try:
        key = json.loads(_read(file))
    except ValueError:
        key = None
    if not isinstance(key, dict):
        raise CadreError("BadKey", f"{file} is no JSON Web Key", "take `publicKey` of an export's first line")
    return key


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CadreError("NotWritable", f"cannot write {file}: {error.strerror}", "check the path") from error


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise CadreError("Unreadable", f"cannot read {file}: {why}", "check the path") from error


def _print_events(console: Console, events: list[type_json]) -> None:
    rows = [
        (
            event.get("seq"),
            str(event.get("ts"))[5:19].replace("T", " "),
            _actor(event),
            event.get("action"),
            event.get("result"),
            event.get("target"),
        )
        for event in events
    ]
    print_table(console, ("SEQ", "TIME", "ACTOR", "ACTION", "RESULT", "TARGET"), rows, "no events")


def _actor(event: type_json) -> str:
    actor = event.get("actor")
    """Who, without the type that the id repeats."""
    return one_line(str(actor.get("id")), 24) if isinstance(actor, dict) else str(actor)


def _print_verdict(
    console: Console, report: VerifyReport, checkpoint: Checkpoint | None, *, pinned: bool
) -> None:
    if not report.ok:
        console.print(f"[bold red]altered[/]: {report.reason} at event {report.first_bad}")
        return
    proof = (
        f"signed checkpoint at event {checkpoint.seq}"
        if checkpoint
        else "no checkpoint: whole in itself only"
    )
    console.print(f"[bold green]ok[/]: {report.count} events, every link holds; {proof}")
    if checkpoint and not pinned:
        console.print(
            "[dim]the key came with the export; pass --key with one kept elsewhere to rule that out[/]"
        )
