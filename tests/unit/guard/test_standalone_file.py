"""guard.yaml: what it says, and what is wrong with it."""

from pathlib import Path

import pytest

from cadre_guard.errors import ConfigurationError
from cadre_guard.standalone.config import Responses, read_guard_file
from cadre_guard.standalone.maps import LIFETIME_SECONDS, TokenMaps


def _file(folder: Path, text: str) -> Path:
    file = folder / "guard.yaml"
    file.write_text(text)
    return file


def test_the_least_that_works(tmp_path: Path) -> None:
    settings = read_guard_file(_file(tmp_path, "upstreams: {openai: {baseURL: 'https://api.openai.com/v1'}}"))

    assert (settings.host, settings.port, settings.workers) == ("127.0.0.1", 7450, 1)
    assert settings.responses is Responses.PASS and settings.key_file is None
    assert settings.rules.mode == "Mask" and settings.rules.entity_actions["API_KEY"] == "Block"


def test_files_are_found_beside_it(tmp_path: Path) -> None:
    text = "{upstreams: {ollama: {baseURL: 'http://x:1'}}, keyFile: keys/token.key, guard: {mode: Detect}}"
    settings = read_guard_file(_file(tmp_path, text))

    assert settings.key_file == tmp_path / "keys" / "token.key" and settings.rules.mode == "Detect"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("listen: 127.0.0.1:0", "upstreams: this field is required"),
        ("", "upstreams: this field is required"),
        ("upstreams: {}", "name at least one of openai, anthropic, ollama, gemini"),
        ("upstreams: {openai: {baseURL: 'ftp://x'}}", "upstreams.openai.baseURL"),
        ("upstreams: {openai: {baseURL: 'http://x', apiKeyEnv: NO_SUCH_KEY}}", "does not set NO_SUCH_KEY"),
        ("upstreams: [", "is not YAML"),
        ("{upstreams: {openai: {baseURL: 'http://x'}}, workres: 2}", "workres"),
        ("{upstreams: {openai: {baseURL: 'http://x'}}, guard: {mode: Hide}}", "guard.mode"),
    ],
)
def test_a_mistake_names_its_field(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read_guard_file(_file(tmp_path, text))
    assert told in refused.value.message


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot read"):
        read_guard_file(tmp_path / "none.yaml")


def test_maps_end_with_their_hour() -> None:
    now = 0.0
    maps = TokenMaps(lambda: now)
    maps.keep("map_a", {"EMAILx1": "a@b.example"})
    now = LIFETIME_SECONDS - 1
    assert maps.of("map_a") == {"EMAILx1": "a@b.example"}
    now = LIFETIME_SECONDS
    assert maps.of("map_a") is None
