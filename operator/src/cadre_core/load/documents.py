"""Documents to resources: kind by kind, strictly, with duplicates refused."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pydantic import ValidationError

from cadre_api.v1alpha1 import API_VERSION, KINDS, Resource
from cadre_core.load.errors import at, did_you_mean, validation_problems
from cadre_core.load.yamltree import Document, read_documents
from cadre_core.model import Problem
from cadre_core.resources import Position, Resources, key_of, ordered


@dataclass(slots=True)
class _Gathered:
    namespace: str
    models: list[Resource] = field(default_factory=list)
    positions: dict[tuple[str, str], dict[str, Position]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    invalid: set[tuple[str, str]] = field(default_factory=set)


def parse_documents(
    docs: Sequence[tuple[str, str]], namespace: str = "default"
) -> tuple[Resources, tuple[Problem, ...]]:
    """Read (file name, YAML text) pairs; what is valid is returned beside every problem of the rest.

    Objects that name no namespace are in `namespace`.
    """
    gathered = _Gathered(namespace)
    for file, text in docs:
        for document in read_documents(file, text):
            _take(document, gathered)
    resources = replace(
        Resources.of_models(gathered.models),
        positions=gathered.positions,
        invalid=frozenset(gathered.invalid),
    )
    return resources, ordered(gathered.problems)


def _take(document: Document, gathered: _Gathered) -> None:
    _place(document.value, gathered.namespace)
    name = _resource_name(document.value)
    gathered.problems += [replace(p, resource=p.resource or name) for p in document.problems]
    if document.value is None:
        return
    kind = _kind(document, name, gathered)
    if kind is None or document.problems:
        gathered.invalid.add(_identity(document.value))
        return
    try:
        model = kind.model_validate_json(json.dumps(document.value), strict=True, extra="forbid")
    except ValidationError as error:
        gathered.problems += validation_problems(error, kind, document, name)
        gathered.invalid.add(_identity(document.value))
        return
    _add(model, document, gathered)


def _place(value: object, namespace: str) -> None:
    metadata = value.get("metadata") if isinstance(value, dict) else None
    if isinstance(metadata, dict):
        metadata.setdefault("namespace", namespace)


def _identity(value: object) -> tuple[str, str]:
    kind, _, key = _resource_name(value).partition(" ")
    return kind, key


def _add(model: Resource, document: Document, gathered: _Gathered) -> None:
    identity = (model.kind, key_of(model))
    if identity in gathered.positions:
        first = gathered.positions[identity][""]
        message = f"{model.kind} {key_of(model)} is already defined at {first.file}:{first.line}"
        place = document.places.get("metadata.name", document.places[""])
        gathered.problems.append(
            Problem(" ".join(identity), "metadata.name", "DuplicateResource", message, "rename or remove one",
                    place.file, place.line)
        )  # fmt: skip
        return
    gathered.positions[identity] = document.places
    gathered.models.append(model)


def _kind(document: Document, name: str, gathered: _Gathered) -> type[Resource] | None:
    value = document.value
    if not isinstance(value, dict):
        gathered.problems.append(at(document, name, "", "NotAResource", "a document is one resource", _SHAPE))
        return None
    version, kind = value.get("apiVersion"), value.get("kind")
    if version != API_VERSION:
        message = f"apiVersion is {version!r}" if version else "apiVersion is missing"
        gathered.problems.append(
            at(document, name, "apiVersion", "UnknownApiVersion", message, f"write apiVersion: {API_VERSION}")
        )
    if isinstance(kind, str) and kind in KINDS:
        return KINDS[kind] if version == API_VERSION else None
    message = f"{kind!r} is not a kind of Cadre" if kind else "kind is missing"
    fix = did_you_mean(str(kind or ""), list(KINDS))
    gathered.problems.append(at(document, name, "kind", "UnknownKind", message, fix))
    return None


_SHAPE = "write apiVersion, kind, metadata and spec"


def _resource_name(value: object) -> str:
    if not isinstance(value, dict):
        return ""
    metadata = value.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    return (
        f"{value.get('kind') or '?'} {metadata.get('namespace') or 'default'}/{metadata.get('name') or '?'}"
    )
