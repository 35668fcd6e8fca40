"""`cadre guard`: scan, mask and restore without a controller; batches that survive bad lines."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cadre_local.cli.context import Session
from cadre_local.cli.program import cli, run
from cadre_local.errors import CadreError, Exit

TEXT = "Hanna Keller, h.keller@acme.example\nplain line\n"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CADRE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def _guard(*arguments: str, given: str | bytes = "") -> Result:
    return CliRunner().invoke(cli, ["guard", *arguments], input=given, obj=Session(), standalone_mode=False)


def test_scan_batch_keeps_ids() -> None:
    lines = '{"id": "a", "text": "mail bob@example.com"}\n\n{"id": 2, "text": "nothing"}\n'
    first, second = (json.loads(line) for line in _guard("scan", "--jsonl", given=lines).stdout.splitlines())
    assert first["id"] == "a"
    assert [(e["type"], e["start"], e["end"]) for e in first["entities"]] == [("EMAIL_ADDRESS", 5, 20)]
    assert second == {"id": 2, "entities": []}


def test_scan_lines_end_at_line_feeds_only() -> None:
    line = '{"id": 1, "text": "one\u2028two\u0085 a@corp.example"}'
    done = _guard("scan", "--jsonl", given=f"{line}\n")
    assert [entity["type"] for entity in json.loads(done.output)["entities"]] == ["EMAIL_ADDRESS"]


@pytest.mark.parametrize(
    ("line", "identifier", "reason"),
    [
        (b"x", None, "BadLine"),
        (b"[]", None, "BadLine"),
        (b'{"text": "no id"}', None, "BadLine"),
        (b'{"id": 1}', 1, "BadLine"),
        (b'{"id": 1, "text": 5}', 1, "BadLine"),
        (b'{"id": 1, "text": "\xff"}', None, "NotUtf8"),
        (b"[" * 100_000, None, "BadLine"),
    ],
)
def test_a_bad_line_gets_an_error_and_the_rest_goes_on(line: bytes, identifier: object, reason: str) -> None:
    done = _guard("scan", "--jsonl", given=line + b'\n{"id": "after", "text": "a@corp.example"}\n')
    bad, after = (json.loads(each) for each in done.stdout.splitlines())
    assert (bad["id"], bad["line"], bad["error"]["reason"]) == (identifier, 1, reason)
    assert after["id"] == "after"
    assert len(after["entities"]) == 1
    assert done.return_value == Exit.REFUSED


def test_many_lines_are_shared_out_and_stay_in_order() -> None:
    texts = [f"row {i}: u{i}@corp.example" if i % 3 else f"row {i}" for i in range(300)]
    lines = "".join(json.dumps({"id": i, "text": text}) + "\n" for i, text in enumerate(texts))
    command = [sys.executable, "-m", "cadre_local.cli.main", "guard", "scan", "--jsonl", "--jobs", "2"]
    done = subprocess.run(command, input=lines, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["id"] for answer in answers] == list(range(300))
    assert [len(answer["entities"]) for answer in answers] == [int(i % 3 > 0) for i in range(300)]


def test_a_line_is_answered_before_the_next_is_asked() -> None:
    command = [sys.executable, "-m", "cadre_local.cli.main", "guard", "scan", "--jsonl"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    ) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        for number in range(3):
            program.stdin.write(json.dumps({"id": number, "text": "a@corp.example"}) + "\n")
            program.stdin.flush()
            assert json.loads(program.stdout.readline())["id"] == number
        program.stdin.close()
        assert program.wait(60) == 0


def test_mask_leaves_no_value() -> None:
    done = _guard("mask", "-", given=TEXT)
    assert "keller" not in done.stdout.lower()
    assert done.stdout.endswith("plain line\n")


def test_restore_undoes_mask_with_the_map_alone_sealed(tmp_path: Path) -> None:
    sealed = tmp_path / "map"
    masked = _guard("mask", "-", "--map", str(sealed), given=TEXT).stdout
    assert "keller" not in masked.lower()
    assert b"keller" not in sealed.read_bytes().lower()
    assert sealed.stat().st_mode & 0o077 == 0
    again = _guard("mask", "-", "--map", str(sealed), given="ask Hanna Keller\n").stdout
    assert again.split()[1] in masked, "the same value has the same token in every run"
    assert _guard("restore", "-", "--map", str(sealed), given=masked).stdout == TEXT
    other = _guard("restore", "-", "--map", str(sealed), "--key-file", str(tmp_path / "k"), given=masked)
    assert isinstance(other.exception, CadreError)
    assert other.exception.reason == "MapUnreadable"


def test_restore_without_a_map_says_so(tmp_path: Path) -> None:
    done = _guard("restore", "-", "--map", str(tmp_path / "none"), given=TEXT)
    assert isinstance(done.exception, CadreError)
    assert done.exception.reason == "MapMissing"


def test_scan_can_fail_a_hook(tmp_path: Path) -> None:
    file = tmp_path / "note.txt"
    file.write_text("card 4111 1111 1111 1111")
    assert run(["guard", "scan", str(file), "--fail-on-findings"]) == Exit.REFUSED
    file.write_text("nothing at all")
    assert run(["guard", "scan", str(file), "--fail-on-findings"]) == Exit.OK
