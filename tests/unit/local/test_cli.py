"""The command line without a controller: usage, exit codes, formats, local commands."""

import json
import os
import socket
import sys
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cadre_core.audit import DOMAIN, GENESIS, AuditActor, AuditRecord, seal
from cadre_local.cli.audit import PAGE
from cadre_local.cli.context import Session, dump
from cadre_local.cli.program import COMMANDS, cli, run
from cadre_local.errors import CadreError, Exit
from cadre_local.ports import check_free, find_holder
from tests.support.ports import free_port

ACME = Path(__file__).parents[3] / "examples" / "01-acme"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CADRE_HOME", str(tmp_path / "home"))
    for name in ("CADRE_SERVER", "CADRE_AS", "CADRE_TOKEN", "CADRE_GOOSE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "home"


def test_every_command_loads_and_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    for name in COMMANDS:
        assert run([name, "--help"]) == 0
        assert "--as PERSON" in capsys.readouterr().out
    assert run(["--help"]) == 0
    assert "Exit codes: 0 done" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["frob"],
        ["up", "--port", "0"],
        ["task", "run"],
        ["task", "run", " "],
        ["get", "gizmos"],
        ["status", "-o", "xml"],
    ],
)
def test_wrong_usage_is_2(arguments: list[str]) -> None:
    assert run(arguments) == Exit.USAGE


@pytest.mark.parametrize(
    "arguments",
    [
        ["task", "list"],
        ["approvals"],
        ["get", "agents"],
        ["status"],
        ["audit", "verify"],
        ["apply", "-f", str(ACME)],
    ],
)
def test_without_a_controller_it_is_3_and_says_how_to_start(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == Exit.UNREACHABLE
    assert "cadre up" in capsys.readouterr().err


def test_errors_are_objects_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["task", "list", "-o", "json"]) == Exit.UNREACHABLE
    assert set(json.loads(capsys.readouterr().err)) == {"reason", "message", "fix"}


def test_down_without_anything_is_fine(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    assert run(["down"]) == 0
    assert "not running" in capsys.readouterr().out
    assert not home.exists()


def test_a_bad_chart_starts_and_creates_nothing(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.yaml").write_text(
        "apiVersion: cadre.dev/v1alpha1\nkind: OrgNode\nmetadata: {name: a}\nspec: {}\n"
    )
    assert run(["up", "-f", str(tmp_path / "bad.yaml")]) == Exit.REFUSED
    err = capsys.readouterr().err
    assert "bad.yaml:" in err
    assert "→" in err
    assert "nothing was started" in err
    assert not home.exists()


def test_ports_that_collide_are_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["up", "--port", "7555", "--guard-port", "7555"]) == Exit.USAGE
    assert "PortsCollide" in capsys.readouterr().err


def test_a_taken_port_names_its_holder_and_the_flag() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(CadreError) as caught:
            check_free(port, "--port", "public API")
        assert find_holder(port).endswith(f"(pid {os.getpid()})")
    assert caught.value.reason == "PortTaken"
    assert "--port PORT" in caught.value.fix
    assert "pid" in caught.value.message
    check_free(port, "--port", "public API")


def test_doctor_names_a_fix_for_what_fails(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    monkeypatch.setenv("CADRE_GOOSE", "/no/such/goose")
    assert run(["doctor", "-o", "json", "--port", "1"]) == Exit.REFUSED
    checks = {check["name"]: check for check in json.loads(capsys.readouterr().out)["checks"]}
    assert checks["goose"]["result"] == "Fail"
    assert checks["goose"]["fix"]
    assert checks["npm"]["result"] == "Warn"
    assert checks["database"]["result"] == "Ok"


def exported(count: int, key: Ed25519PrivateKey) -> tuple[list[str], str]:
    """A chain as the controller exports it, and a signed checkpoint of its head."""
    jwk = json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(key.public_key()))
    lines, head = [json.dumps({"format": DOMAIN, "tenant": "acme", "publicKey": jwk})], GENESIS
    for seq in range(1, count + 1):
        record = AuditRecord(
            id=f"e{seq}",
            ts=datetime(2026, 1, 1, tzinfo=UTC),
            tenant_id="acme",
            actor=AuditActor("System", "controller", ""),
            action="test",
            target="t",
            result="ok",
        )
        sealed = seal(head, seq, record)
        row = {"seq": seq, "prevHash": head, "hash": sealed.hash, "canonical": sealed.canonical.decode()}
        lines.append(json.dumps(row))
        head = sealed.hash
    payload = json.dumps({"tenant": "acme", "seq": count, "head": head}).encode()
    return lines, jwt.PyJWS().encode(payload, key, algorithm="EdDSA")


def verify(tmp_path: Path, lines: list[str], signed: str, *more: str) -> int:
    (tmp_path / "audit.ndjson").write_text("\n".join(lines) + "\n")
    (tmp_path / "checkpoint.jws").write_text(signed)
    return run(
        [
            "audit",
            "verify",
            str(tmp_path / "audit.ndjson"),
            "--checkpoint",
            str(tmp_path / "checkpoint.jws"),
            *more,
        ]
    )


def test_a_whole_chain_verifies_offline(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify(tmp_path, *exported(3, Ed25519PrivateKey.generate())) == 0
    assert "ok: 3 events" in capsys.readouterr().out


def test_a_chain_that_was_altered_or_cut_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines, signed = exported(4, Ed25519PrivateKey.generate())
    altered = [*lines[:2], lines[2].replace('\\"result\\":\\"ok\\"', '\\"result\\":\\"no\\"'), *lines[3:]]
    assert altered != lines
    assert verify(tmp_path, altered, signed) == Exit.REFUSED
    assert "HashMismatch at event 2" in capsys.readouterr().out
    assert verify(tmp_path, lines[:-1], signed) == Exit.REFUSED


def test_a_checkpoint_by_another_key_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines, _ = exported(2, Ed25519PrivateKey.generate())
    _, foreign = exported(2, Ed25519PrivateKey.generate())
    assert verify(tmp_path, lines, foreign) == Exit.REFUSED
    assert "BadSignature" in capsys.readouterr().err


def test_a_pinned_key_must_match(tmp_path: Path) -> None:
    key, other = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    pinned = tmp_path / "key.json"
    pinned.write_text(str(jwt.algorithms.OKPAlgorithm.to_jwk(other.public_key())))
    assert verify(tmp_path, *exported(1, key), "--key", str(pinned)) == Exit.REFUSED
    pinned.write_text(str(jwt.algorithms.OKPAlgorithm.to_jwk(key.public_key())))
    assert verify(tmp_path, *exported(1, key), "--key", str(pinned)) == Exit.OK


def test_plan_against_another_chart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plan", "-f", str(ACME), "--against", str(ACME), "-o", "json"]) == 0
    agents = json.loads(capsys.readouterr().out)["agents"]
    assert {item["change"] for item in agents} == {"Same"}
    assert run(["plan", "-f", str(ACME)]) == 0
    assert "Added" in capsys.readouterr().out


def test_yaml_output_is_yaml() -> None:
    assert dump({"a": (1, "ü")}, "yaml") == "a:\n- 1\n- ü"


def test_completion_offers_commands() -> None:
    done = CliRunner().invoke(cli, [], env={"_CADRE_COMPLETE": "bash_source"}, prog_name="cadre")
    assert "_cadre_completion" in done.output


def test_a_file_that_cannot_be_written_or_is_no_key_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines, signed = exported(1, Ed25519PrivateKey.generate())
    junk = tmp_path / "junk"
    junk.write_text("junk")
    assert verify(tmp_path, lines, signed, "--key", str(junk)) == Exit.REFUSED
    assert "BadKey" in capsys.readouterr().err


def test_an_unknown_language_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "x").write_text("hello")
    assert run(["guard", "scan", str(tmp_path / "x"), "--language", "xx"]) == Exit.REFUSED
    assert "LanguageUnknown" in capsys.readouterr().err


def test_a_scenario_that_is_no_scenario_is_explained(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "bad.yaml").write_text("a: [1\nb: }\n")
    arguments = ["up", "-f", str(ACME), "--scripted", str(tmp_path / "bad.yaml")]
    assert run(arguments) == Exit.REFUSED
    said = capsys.readouterr().err
    assert "ScenarioInvalid" in said
    assert "bad.yaml" in said


def test_a_home_that_is_no_directory_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CADRE_HOME", str(tmp_path / "file"))
    ports = [f"--{name}port={free_port()}" for name in ("", "guard-")]
    assert run(["up", "-f", str(ACME), *ports]) == Exit.REFUSED
    assert "error " in capsys.readouterr().err


class Chain:
    """A client whose server holds a long chain and gives it page by page."""

    def items(self, path: str) -> tuple[dict[str, object], ...]:
        after = int(parse_qs(urlsplit(path).query)["after"][0])
        return tuple({"seq": seq, "action": "test"} for seq in range(after + 1, min(after + PAGE, 2500) + 1))


def test_the_audit_lists_its_end_not_its_beginning(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Session, "api", lambda self: Chain())
    assert run(["audit", "list", "--limit", "3", "-o", "json"]) == Exit.OK
    assert [item["seq"] for item in json.loads(capsys.readouterr().out)["items"]] == [2498, 2499, 2500]
