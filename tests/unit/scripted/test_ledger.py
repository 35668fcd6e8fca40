"""The example's ledger, spoken to by the official MCP client over stdio as the tool gateway does."""

import json
import os
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import yaml
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

from tests.support.scripted import ACME

POSTING = {"amount": 18000, "department": "marketing", "memo": "campaign", "iban": "GB33BUKB20201555555555"}


@asynccontextmanager
async def ledger(file: Path) -> AsyncIterator[ClientSession]:
    env = {"LEDGER_FILE": str(file), "PATH": os.environ["PATH"]}
    command = StdioServerParameters(command=sys.executable, args=[str(ACME / "ledger.py")], env=env)
    async with stdio_client(command) as (read, write), ClientSession(read, write) as session:
        await session.initialize()
        yield session


async def call(session: ClientSession, tool: str, arguments: object, key: str = "") -> tuple[bool, dict]:
    meta = {"cadre": {"idempotencyKey": key}} if key else None
    answer = await session.call_tool(tool, arguments, meta=meta)
    return answer.is_error, json.loads(answer.content[0].text)


async def test_the_chart_pins_exactly_what_the_ledger_offers(tmp_path: Path) -> None:
    pinned = yaml.safe_load((ACME / "tools.yaml").read_text())["spec"]["tools"]
    async with ledger(tmp_path / "l.db") as session:
        offered = (await session.list_tools()).tools
    assert [(t.name, t.description, t.input_schema) for t in offered] == [
        (t["name"], t["description"], t["inputSchema"]) for t in pinned
    ]


async def test_a_key_books_once_over_restarts(tmp_path: Path) -> None:
    file = tmp_path / "l.db"
    async with ledger(file) as session:
        _, before = await call(session, "read_budget", {"department": "Marketing"})
        first = await call(session, "post_entry", POSTING, "k1")
    async with ledger(file) as session:
        assert await call(session, "post_entry", POSTING, "k1") == first
        _, other = await call(session, "post_entry", POSTING, "k2")
        _, after = await call(session, "read_budget", {"department": "marketing"})
    assert other["entry"] != first[1]["entry"]
    assert before["free"] - after["free"] == 36000
    assert first[1]["amount"] == 18000


async def test_every_transfer_is_a_new_order(tmp_path: Path) -> None:
    order = {"amount": 4200, "iban": "GB33BUKB20201555555555", "beneficiary": "Oliver Hayes"}
    async with ledger(tmp_path / "l.db") as session:
        for _ in range(2):
            await call(session, "wire_transfer", order, "same key")
    with sqlite3.connect(tmp_path / "l.db") as database:
        orders = database.execute("select amount, confirmed from transfers").fetchall()
    database.close()
    assert orders == [(4200, 1), (4200, 1)]


async def test_the_ledger_says_why_it_refuses(tmp_path: Path) -> None:
    async with ledger(tmp_path / "l.db") as session:
        assert (
            "there are: engineering" in (await call(session, "read_budget", {"department": "x"}))[1]["error"]
        )
        failed, answer = await call(
            session, "post_entry", POSTING | {"department": "hr", "amount": 900000}, "k"
        )
        assert failed
        assert "more than hr has left" in answer["error"]
        assert (await call(session, "post_entry", {"department": "marketing"}))[0]
        assert (await call(session, "no_such_tool", {}))[0]
