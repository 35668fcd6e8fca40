"""From plain objects (YAML, JSON) to typed resources: strictly for files, leniently for a cluster."""

from collections.abc import Mapping
from typing import Literal

from pydantic import ValidationError

from cadre_api.problems import FieldProblem, field_problems
from cadre_api.v1alpha1 import API_VERSION, KINDS, Resource


class InvalidResourceError(ValueError):
    """An object is no valid resource; `problems` lists everything that is wrong with it."""

    reason = "Invalid"

    def __init__(self, problems: tuple[FieldProblem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


def parse_resource(obj: object, *, unknown: Literal["forbid", "ignore"] = "forbid") -> Resource:
    """Read one object; `unknown="ignore"` is for a cluster's objects. Raises InvalidResourceError."""
    if not isinstance(obj, Mapping):
        raise _refused(".", "WrongType", "this is no object", "start it with apiVersion, kind and metadata")
    kind = KINDS.get(str(obj.get("kind")))
    if obj.get("apiVersion") != API_VERSION:
        raise _refused(
            "apiVersion", "ValueNotSupported", "not an API version of Cadre", f"write {API_VERSION}"
        )
    if kind is None:
        raise _refused("kind", "ValueNotSupported", "not a kind of Cadre", f"write one of {', '.join(KINDS)}")
    try:
        return kind.model_validate(obj, extra=unknown)
    except ValidationError as error:
        raise InvalidResourceError(field_problems(error, kind)) from error


def _refused(path: str, reason: str, message: str, fix: str) -> InvalidResourceError:
    return InvalidResourceError((FieldProblem(path, reason, message, fix),))
