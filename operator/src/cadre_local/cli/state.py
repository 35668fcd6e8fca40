"""`cadre state …`: what agents and people keep between tasks, under keys with versions."""

import sys
from urllib.parse import urlencode

import click
from rich.console import Console

from cadre_api.protocol.state import StatePage, StateView
from cadre_local.cli.context import Session, dump, pass_session
from cadre_local.cli.framework import Command, Group

_WAIT = 10
"""Seconds of one long poll of a watch, shorter than a request may take."""

_scope = click.argument("scope", metavar="SCOPE")
_key = click.argument("key")
_version = click.option(
    "--version", type=click.IntRange(min=0), help="Only if the key has this version now; 0 = does not exist."
)
_prefix = click.option("--prefix", default="", help="Only keys that begin so.")


@click.group(cls=Group)
def state() -> None:
    """Read and write state. SCOPE: tenant, node:NS/NAME, agent:NS/NAME or session:ID."""


@state.command("list", cls=Command)
@_scope
@_prefix
@pass_session
def list_keys(session: Session, scope: str, prefix: str) -> None:
    """The keys of a scope with their values."""
    views: list[StateView] = []
    cursor = ""
    while True:
        page = _read(session, "", scope=scope, prefix=prefix, cursor=cursor)
        views += page.items
        cursor = page.next
        if not cursor:
            break
    session.emit(page.model_copy(update={"items": tuple(views)}), lambda console: _table(console, views))


@state.command(cls=Command)
@_scope
@_key
@click.option("--history", is_flag=True, help="All versions that are kept, newest first.")
@pass_session
def get(session: Session, scope: str, key: str, history: bool) -> None:
    """One value."""
    if history:
        page = _read(session, "/history", scope=scope, key=key)
        session.emit(page, lambda console: _table(console, list(page.items)))
        return
    query = urlencode({"scope": scope, "key": key})
    view = StateView.model_validate(session.api().http.json("GET", f"/api/v1/state/entry?{query}"))
    session.emit(view, lambda console: console.print(view.value, markup=False, highlight=False))


@state.command("set", cls=Command)
@_scope
@_key
@click.argument("value")
@_version
@pass_session
def set_key(session: Session, scope: str, key: str, value: str, version: int | None) -> None:
    """Write a value; - reads it from standard input."""
    _write(session, scope, key, sys.stdin.read() if value == "-" else value, version)


@state.command(cls=Command)
@_scope
@_key
@_version
@pass_session
def remove(session: Session, scope: str, key: str, version: int | None) -> None:
    """Remove a key."""
    _write(session, scope, key, None, version)


@state.command(cls=Command)
@_scope
@_prefix
@click.option("--count", type=click.IntRange(min=1), help="End after so many changes.")
@pass_session
def watch(session: Session, scope: str, prefix: str, count: int | None) -> None:
    """Print changes as they happen, until interrupted."""
    after, seen = _read(session, "", scope=scope, limit=1).seq, 0
    while count is None or seen < count:
        page = _read(session, "/watch", scope=scope, prefix=prefix, after=after, wait=_WAIT)
        after = page.seq
        for view in page.items:
            seen += 1
            click.echo(_line(view) if session.is_table else dump(view, session.output).rstrip())


def _read(session: Session, path: str, **query: object) -> StatePage:
    answer = session.api().http.json("GET", f"/api/v1/state{path}?{urlencode(query)}")
    return StatePage.model_validate(answer)


def _write(session: Session, scope: str, key: str, value: str | None, version: int | None) -> None:
    body = {"scope": scope, "key": key, "value": value, "version": version}
    view = StateView.model_validate(session.api().http.json("PUT", "/api/v1/state/entry", body))
    done = "removed" if view.deleted else "set"
    session.emit(view, lambda console: console.print(f"{key} {done}, version {view.version}", markup=False))


def _table(console: Console, views: list[StateView]) -> None:
    for view in views:
        console.print(_line(view), markup=False, highlight=False)


def _line(view: StateView) -> str:
    value = "(removed)" if view.deleted else view.value
    return f"{view.key}  v{view.version}  {value}"
