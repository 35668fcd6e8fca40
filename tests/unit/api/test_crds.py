"""The committed CRDs: equal to what the models say, and free of what Kubernetes refuses."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel, Field, JsonValue

from cadre_api import crdgen
from cadre_api.structural import NotStructuralError, structural
from cadre_api.v1alpha1 import KINDS

_FOLDER = Path(__file__).resolve().parents[3] / "crds"
_CRDS: dict[str, dict[str, Any]] = {
    kind: yaml.safe_load((_FOLDER / f"{model.crd.plural}.yaml").read_text()) for kind, model in KINDS.items()
}
_REFUSED = {
    "$ref", "$defs", "title", "default", "const", "discriminator", "examples", "allOf", "oneOf", "not",
    "nullable", "prefixItems", "uniqueItems", "exclusiveMinimum", "exclusiveMaximum", "patternProperties",
}  # fmt: skip
_EVERY_KIND = pytest.mark.parametrize("kind", KINDS)


def schema_of(kind: str) -> dict[str, Any]:
    root: dict[str, Any] = _CRDS[kind]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return root


def walk(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from walk(child, f"{path}.{name}")
    for key, mark in (("items", "[]"), ("additionalProperties", "{}")):
        if key in schema:
            yield from walk(schema[key], path + mark)


def parts(kind: str) -> list[tuple[str, dict[str, Any]]]:
    roots = ("", ".apiVersion", ".kind", ".metadata")
    return [(path, schema) for path, schema in walk(schema_of(kind)) if path not in roots]


def test_the_committed_files_are_what_the_models_say(capsys: pytest.CaptureFixture[str]) -> None:
    assert crdgen.main(["--check", str(_FOLDER)]) == 0
    assert capsys.readouterr().err == ""


def test_generation_is_deterministic_and_check_sees_differences(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert crdgen.main([str(tmp_path / "new")]) == 0
    assert crdgen.main(["--check", str(tmp_path / "new")]) == 0
    (tmp_path / "new" / "agents.yaml").write_text("changed")
    (tmp_path / "new" / "persons.yaml").unlink()
    (tmp_path / "new" / "strange.yaml").touch()
    assert crdgen.main(["--check", str(tmp_path / "new")]) == 1
    assert [line.split()[0] for line in capsys.readouterr().err.splitlines()] == [
        "agents.yaml",
        "persons.yaml",
        "strange.yaml",
    ]


@_EVERY_KIND
def test_nothing_that_kubernetes_refuses_or_stores(kind: str) -> None:
    for path, schema in walk(schema_of(kind)):
        assert not _REFUSED & schema.keys(), path
        assert schema.get("additionalProperties") is not False, path
        assert not ("properties" in schema and "additionalProperties" in schema), path
        assert "type" in schema or schema.get("x-kubernetes-int-or-string"), path


@_EVERY_KIND
def test_every_field_is_explained(kind: str) -> None:
    for path, schema in parts(kind):
        if not path.endswith("]") and not path.endswith("}"):
            assert len(schema.get("description", "")) > 5, path


@_EVERY_KIND
def test_every_optional_field_of_a_spec_states_its_default(kind: str) -> None:
    for path, schema in walk(schema_of(kind)["properties"]["spec"], "spec"):
        for name, child in schema.get("properties", {}).items():
            if name not in schema.get("required", ()):
                assert "Default" in child["description"], f"{path}.{name}"


@_EVERY_KIND
def test_everything_is_bounded(kind: str) -> None:
    for path, schema in parts(kind):
        match schema.get("type"):
            case "array":
                assert "maxItems" in schema or path.startswith(".metadata"), path
                assert "maxLength" not in schema, path
            case "string":
                assert "maxLength" in schema or "enum" in schema or "format" in schema, path
            case None:
                assert {"pattern", "x-kubernetes-int-or-string"} <= schema.keys(), path
            case "integer":
                assert "minimum" in schema, path
                assert schema["format"] in ("int32", "int64"), path
            case other:
                assert other in ("object", "boolean"), path


@_EVERY_KIND
def test_lists_of_named_objects_merge_by_key(kind: str) -> None:
    for path, schema in parts(kind):
        if schema.get("type") != "array" or "name" not in schema["items"].get("properties", {}):
            continue
        is_reference = schema["items"]["properties"].keys() <= {"name", "namespace"}
        assert is_reference or schema["x-kubernetes-list-type"] == "map", path


@_EVERY_KIND
def test_list_map_keys_are_required_scalars(kind: str) -> None:
    for path, schema in parts(kind):
        for key in schema.get("x-kubernetes-list-map-keys", ()):
            assert key in schema["items"]["required"], path
            assert schema["items"]["properties"][key]["type"] == "string", path


@_EVERY_KIND
def test_enums_are_camel_case_and_never_yaml_booleans(kind: str) -> None:
    for path, schema in parts(kind):
        for word in schema.get("enum", ()):
            assert word.lower() not in ("on", "off", "yes", "no", "true", "false", "y", "n") or (
                path == ".status.conditions[].status"
            )
            assert word[0].isupper() or path.endswith("purposes[]"), path


@_EVERY_KIND
def test_names_and_subresources(kind: str) -> None:
    spec = _CRDS[kind]["spec"]
    version = spec["versions"][0]
    assert spec["names"]["categories"] == ["cadre"]
    assert spec["names"]["shortNames"][0].startswith("cd")
    assert spec["scope"] == "Namespaced"
    assert version["subresources"]["status"] == {}
    assert ("scale" in version["subresources"]) == (kind == "Agent")
    assert version["additionalPrinterColumns"][-1]["name"] == "Age"


def test_columns_are_those_promised() -> None:
    def columns(kind: str, wide: bool) -> list[str]:
        entries = _CRDS[kind]["spec"]["versions"][0]["additionalPrinterColumns"]
        return [entry["name"] for entry in entries if bool(entry.get("priority")) is wide]

    assert columns("OrgNode", wide=False) == ["Type", "Title", "Parent", "Agents", "Ready", "Age"]
    assert columns("Agent", wide=False) == ["Node", "Profile", "Phase", "Ready", "Age"]
    assert columns("Agent", wide=True) == ["Owner", "Model", "Guard", "Bundle"]


def test_the_pinned_schema_of_a_tool_is_kept_whole() -> None:
    tool = schema_of("ToolServer")["properties"]["spec"]["properties"]["tools"]["items"]["properties"]
    assert tool["inputSchema"]["x-kubernetes-preserve-unknown-fields"] is True


class Ring(BaseModel):
    next: "Ring | None" = None


class Union(BaseModel):
    value: int | str


class Pair(BaseModel):
    value: tuple[int, int]


class Above(BaseModel):
    value: int = Field(gt=0)


class Anything(BaseModel):
    value: JsonValue


@pytest.mark.parametrize("model", [Ring, Union, Pair, Above, Anything])
def test_what_a_crd_cannot_say_is_an_error_and_not_a_wrong_crd(model: type[BaseModel]) -> None:
    with pytest.raises(NotStructuralError):
        structural(model.model_json_schema())
