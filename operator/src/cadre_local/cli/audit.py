"""`cadre audit …`: read the chain, prove it, take it away; proving needs only an export, no controller."""

import base64
import json
from collections.abc import Iterator
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
    """Events of the chain."""
    wanted = {"action": action, "actorId": actor, "target": target, "limit": str(limit)}
    query = urlencode({key: value for key, value in wanted.items() if value})
    rows = session.api().items(f"/api/v1/audit/events?{query}")
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
    if file:
        lines = _read(file).splitlines()
        signed = _read(checkpoint_file).strip() if checkpoint_file else ""
    else:
        lines, signed = _fetch(session.api())
    key = json.loads(_read(key_file)) if key_file else _embedded_key(lines)
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
        target.write_text(text, encoding="utf-8")
        click.echo(f"{len(lines) - 1} events in {target}", err=True)
    else:
        click.echo(text, nl=False)
    if checkpoint_file:
        checkpoint_file.write_text(signed + "\n", encoding="ascii")


def event_of(row: type_json) -> type_json:
    """The record inside a stored row, whose canonical bytes come as text, base64 or an object."""
    canonical = row.get("canonical", row)
    if isinstance(canonical, str):
        try:
            canonical = json.loads(canonical)
        except ValueError:
            canonical = json.loads(base64.b64decode(canonical))
    return canonical if isinstance(canonical, dict) else {}


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


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CadreError("Unreadable", f"cannot read {file}: {error}", "check the path") from error


def _print_events(console: Console, events: list[type_json]) -> None:
    rows = [
        (
            event.get("seq"),
            event.get("ts"),
            _actor(event),
            event.get("action"),
            event.get("target"),
            event.get("result"),
        )
        for event in events
    ]
    print_table(console, ("SEQ", "TIME", "ACTOR", "ACTION", "TARGET", "RESULT"), rows, "no events")


def _actor(event: type_json) -> str:
    actor = event.get("actor")
    return one_line(f"{actor.get('type')}:{actor.get('id')}", 40) if isinstance(actor, dict) else str(actor)


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
