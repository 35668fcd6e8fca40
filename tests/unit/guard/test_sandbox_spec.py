"""The lines between guard and launcher, and what goose is told."""

import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cadre_api.protocol.guard import AgentBundle
from cadre_guard.agent_environment import agent_launch
from cadre_guard.errors import GuardError
from cadre_guard.sandbox.spec import LaunchReport, LaunchSpec
from cadre_guard.turn.host import trust_set

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BUNDLE = AgentBundle(
    agent="a/b", tenant="a", generation=1, digest="d", issued_at=NOW, expires_at=NOW, node_path=(),
    clearance=("PII",),
)  # fmt: skip


def _launch(bundle: AgentBundle = BUNDLE) -> LaunchSpec:
    return agent_launch(
        bundle, goose=Path("/g/goose"), prefix="p", secret="s", isolate=True, home=Path("/state/home")
    )


def test_lines_survive_the_way() -> None:
    spec, report = _launch(), LaunchReport({"user": True}, ("proc: no",), "")

    assert LaunchSpec.from_line(spec.to_line()) == spec
    assert LaunchReport.from_line(report.to_line()) == report


@pytest.mark.parametrize("line", [b"", b"{}\n", b"nonsense\n"])
def test_a_line_that_is_no_specification_is_refused(line: bytes) -> None:
    with pytest.raises((ValueError, KeyError)):
        LaunchSpec.from_line(line)


def test_goose_has_one_provider_one_key_and_nothing_else() -> None:
    spec = _launch()
    environment = spec.environment_for("/home/agent", [8101, 8102])

    assert spec.argv == ("/g/goose", "acp")
    assert environment["OPENAI_HOST"] == "http://127.0.0.1:8101"
    assert environment["OPENAI_BASE_PATH"] == "/p/v1/chat/completions"
    assert (environment["HOME"], environment["GOOSE_MODE"]) == ("/home/agent", "approve")
    assert "enabled: true" not in spec.files[".config/goose/config.yaml"]
    assert not any("@" in value for value in environment.values())


def test_another_agent_s_command_replaces_goose() -> None:
    other = BUNDLE.model_copy(update={"runtime_command": ("sh", "--acp")})

    assert _launch(other).argv == (os.path.realpath(shutil.which("sh") or ""), "--acp")


def test_a_program_that_is_not_installed_is_named() -> None:
    missing = BUNDLE.model_copy(update={"runtime_command": ("no-such-agent",)})

    with pytest.raises(GuardError, match="no program no-such-agent"):
        _launch(missing)


def test_a_renewed_bundle_keeps_its_trust_set_and_changed_rights_do_not() -> None:
    renewed = BUNDLE.model_copy(update={"generation": 2, "digest": "e", "expires_at": datetime.now(UTC)})
    narrowed = BUNDLE.model_copy(update={"clearance": ()})

    assert trust_set(renewed) == trust_set(BUNDLE)
    assert trust_set(narrowed) != trust_set(BUNDLE)
