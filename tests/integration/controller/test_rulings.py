"""A ruling from the command line to the bundle of the guards it holds for."""

import asyncio
import base64
import io
import json

import pytest

from cadre_local.cli.program import run
from cadre_local.errors import Exit
from tests.integration.controller.stand import FIN, SAL, Stand

pytestmark = pytest.mark.postgres
NAME = "Bruno Keller"


async def cadre(stand: Stand, *arguments: str, person: str = "") -> int:
    """`cadre guard …` as a person, or as the administrator."""
    server = ("--server", f"http://127.0.0.1:{stand.serving.public_port}")
    who = ("--as", person) if person else ()
    return await asyncio.to_thread(run, [*server, *who, "guard", *arguments])


async def bundle(stand: Stand, agent: str, after: int = -1) -> dict[str, object]:
    """What the agent's guard is told next."""
    reply = await (await stand.agent(agent)).get(f"/guard/v1/bundle?after={after}&wait=60")
    payload = str(reply["jws"]).split(".")[1]
    found = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert isinstance(found, dict)
    return found


async def test_a_value_is_released_listed_and_taken_back(
    stand: Stand, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CADRE_HOME", str(stand.root))
    first = int(str((await bundle(stand, FIN))["generation"]))
    said = ("--type", "PERSON", "--agent", "fin", "-m", "our brand")
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{NAME}\n"))
    told, code = await asyncio.gather(bundle(stand, FIN, first), cadre(stand, "release", "-", *said))
    assert code == 0
    (term,) = told["guard"]["released"]  # type: ignore[index]
    assert (term["text"], term["entityType"]) == (NAME, "PERSON")
    assert (await bundle(stand, SAL))["guard"]["released"] == []  # type: ignore[index]
    assert (
        await cadre(stand, "add", "grey fox", "--type", "project", "--tenant", "--for", "12h", "-m", "x") == 0
    )
    capsys.readouterr()
    assert await cadre(stand, "list") == 0
    shown = capsys.readouterr().out
    assert f"{NAME} released from PERSON" in shown
    assert "grey fox counts as PROJECT, tenant" in shown
    ruling = next(line.split()[0] for line in shown.splitlines() if NAME in line)
    assert await cadre(stand, "revoke", ruling, person="clara") == Exit.REFUSED
    assert await cadre(stand, "revoke", ruling) == 0
    last = await bundle(stand, FIN)
    assert last["guard"]["released"] == []  # type: ignore[index]
    assert int(str(last["generation"])) > int(str(told["generation"]))
    assert await cadre(stand, "list", person="clara") == 0
    assert "nothing is ruled" in capsys.readouterr().out


async def test_what_is_wrong_is_said(
    stand: Stand, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CADRE_HOME", str(stand.root))
    what, where, why = ("release", NAME, "--type", "PERSON"), ("--agent", "fin"), ("-m", "x")
    for wrong in (
        (*what, *why),
        (*what, *where, "--tenant", *why),
        (*what, *where, "--for", "soon", *why),
        (*what, *where),
        ("revoke", "no/id"),
    ):
        assert await cadre(stand, *wrong) == Exit.USAGE
    assert await cadre(stand, *what, *where, "--for", "99d", *why) == Exit.REFUSED
    assert "at most 90 days" in capsys.readouterr().err
    assert await cadre(stand, "release", "k", "--type", "PERSON", *where, *why) == Exit.REFUSED
    assert "value" in capsys.readouterr().err
    assert await cadre(stand, "release", "AKIA" + 16 * "A", "--type", "API_KEY", *where, *why) == Exit.REFUSED
    assert "NeverReleased" in capsys.readouterr().err
    assert await cadre(stand, *what, *where, *why, person="clara") == Exit.REFUSED
    assert "ask" in capsys.readouterr().err
