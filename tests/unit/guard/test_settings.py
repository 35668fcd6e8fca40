"""Settings come from the environment; what is wrong is named."""

from pathlib import Path

import pytest

from cadre_guard.errors import ConfigurationError
from cadre_guard.settings import NodeAnalyzer, read_settings


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    for name in ("bootstrap", "goose"):
        (tmp_path / name).write_text("x")
    return {
        "CADRE_AGENT": "acme/writer",
        "CADRE_CONTROLLER": "http://127.0.0.1:7441/",
        "CADRE_BOOTSTRAP_FILE": str(tmp_path / "bootstrap"),
        "CADRE_GOOSE": str(tmp_path / "goose"),
        "CADRE_STATE_DIR": str(tmp_path),
    }


def test_defaults(environment: dict[str, str]) -> None:
    settings = read_settings(environment)

    assert settings.controller == "http://127.0.0.1:7441"
    assert (settings.isolate, settings.log_level, settings.health_listen) == (True, "INFO", None)


def test_choices(environment: dict[str, str]) -> None:
    more = {"CADRE_SANDBOX": "Off", "CADRE_LOG_LEVEL": "debug", "CADRE_GUARD_HEALTH_LISTEN": "127.0.0.1:1"}
    settings = read_settings(environment | more)

    assert (settings.isolate, settings.log_level) == (False, "DEBUG")
    assert settings.health_listen == ("127.0.0.1", 1)


def test_the_analyzer_of_the_machine_speaks_tls(environment: dict[str, str]) -> None:
    assert read_settings(environment).analyzer is None
    more = {"CADRE_ANALYZER": "Node", "CADRE_ANALYZER_URL": "https://a:7442/", "CADRE_ANALYZER_SECONDS": "5"}
    assert read_settings(environment | more).analyzer == NodeAnalyzer("https://a:7442", 5.0)
    with pytest.raises(ConfigurationError, match=r"CADRE_ANALYZER_URL.*https"):
        read_settings(environment | more | {"CADRE_ANALYZER_URL": "http://a:7442"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CADRE_AGENT", ""),
        ("CADRE_AGENT", "/writer"),
        ("CADRE_CONTROLLER", "ftp://x"),
        ("CADRE_BOOTSTRAP_FILE", "/nowhere"),
        ("CADRE_SANDBOX", "on"),
        ("CADRE_ANALYZER", "Cloud"),
        ("CADRE_ANALYZER", "Node"),
        ("CADRE_LOG_LEVEL", "loud"),
        ("CADRE_GUARD_HEALTH_LISTEN", "8080"),
    ],
)
def test_a_wrong_value_is_named(environment: dict[str, str], name: str, value: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_settings(environment | {name: value})

    assert caught.value.message.startswith(name)
