"""The demo's own parts: what it looks for, where it plays, and which model it may use."""

import base64
import socket
from urllib.parse import quote

import pytest
import yaml

from cadre_local import charts, offline
from cadre_local.demo import provider, seeded, stage
from cadre_local.demo.provider import Provider
from cadre_local.errors import CadreError, Exit


@pytest.mark.parametrize(
    "blob",
    [
        b"x Oliver Hayes y",
        b"OLIVER HAYES",
        quote("Oliver Hayes").encode(),
        b"Oliver+Hayes",
        *(base64.b64encode(b"." * shift + b"Oliver Hayes.") for shift in range(3)),
        b"Oliver Hayes".hex().encode(),
    ],
)
def test_a_planted_value_is_found_in_any_spelling(blob: bytes) -> None:
    assert seeded.leaks(["Oliver Hayes"], blob)


def test_what_is_not_there_is_not_found() -> None:
    assert (
        seeded.leaks(["Oliver Hayes", "GB33BUKB20201555555555"], b"PERSONx19vprr56pdtyvc4k4 and IBANx1") == []
    )


def test_the_stage_is_a_valid_chart_that_nobody_else_uses() -> None:
    place = stage.build(Provider())
    try:
        offline.check(charts.read_documents(place.chart))
        models = (place.chart / "models.yaml").read_text()
        assert f"127.0.0.1:{place.scripted_port}/v1" in models
        assert stage.CHART_PORT not in models
        assert str(place.root) in (place.chart / "tools.yaml").read_text()
        assert len(seeded.seeded_values(place.chart)) > 5
        assert "--scripted" in place.up_arguments()
    finally:
        place.remove()
    assert not place.root.exists()


def test_a_real_provider_takes_the_place_of_the_scripted_one() -> None:
    place = stage.build(Provider("openai", "https://llm.example/v1", "big-model", "k"))
    try:
        snapshot = offline.check(charts.read_documents(place.chart))
        spec = next(
            d
            for d in yaml.safe_load_all((place.chart / "models.yaml").read_text())
            if d["metadata"]["name"] == "scripted"
        )["spec"]
        assert spec["openai"]["baseURL"] == "https://llm.example/v1"
        assert {choice.model for choice in snapshot.agents["acme/finance-1"].models["work"]} >= {"big-model"}
        assert "--scripted" not in place.up_arguments()
        assert place.environ["CADRE_SECRET_DEMO_APIKEY"] == "k"
        assert "'k'" not in (place.chart / "models.yaml").read_text()
    finally:
        place.remove()


def test_the_scripted_model_is_the_default() -> None:
    assert provider.choose({}).scripted


@pytest.mark.parametrize(
    ("environ", "reason", "code"),
    [
        ({"DEMO_PROVIDER": "hal"}, "UnknownProvider", Exit.USAGE),
        ({"DEMO_PROVIDER": "openai"}, "CredentialMissing", Exit.USAGE),
        (
            {"DEMO_PROVIDER": "ollama", "DEMO_BASE_URL": "http://127.0.0.1:1"},
            "ProviderUnreachable",
            Exit.UNREACHABLE,
        ),
    ],
)
def test_a_real_model_that_cannot_be_had_is_said_before_anything_starts(
    environ: dict[str, str], reason: str, code: Exit
) -> None:
    with pytest.raises(CadreError) as caught:
        provider.choose(environ)
    assert (caught.value.reason, caught.value.code) == (reason, code)
    assert caught.value.fix


def test_a_real_model_that_answers_is_taken() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        chosen = provider.choose({"DEMO_PROVIDER": "ollama", "DEMO_BASE_URL": url, "DEMO_MODEL": "m"})
    assert (chosen.dialect, chosen.base_url, chosen.model) == ("ollama", url, "m")
