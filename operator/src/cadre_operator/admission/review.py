"""One admission review as values, and what is answered to it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cadre_api.parse import InvalidResourceError, parse_resource
from cadre_api.v1alpha1 import Resource
from cadre_operator.kube.fields import mapping, text, texts


@dataclass(frozen=True, slots=True)
class Review:
    """A write that asks to be let through."""

    operation: str
    kind: str
    namespace: str
    name: str
    uid: str
    old: Resource | None
    new: Resource | None
    old_spec: Mapping[str, object]
    new_spec: Mapping[str, object]
    old_notes: Mapping[str, str]
    new_notes: Mapping[str, str]
    dry_run: bool = False

    @property
    def path(self) -> str:
        """`namespace/name`."""
        return f"{self.namespace}/{self.name}"

    @property
    def subject(self) -> str:
        """`Kind namespace/name`."""
        return f"{self.kind} {self.path}"

    @property
    def same_spec(self) -> bool:
        """Whether only metadata changes."""
        return self.operation == "UPDATE" and self.old_spec == self.new_spec


@dataclass(slots=True)
class Answer:
    """What a mutating review changes."""

    notes: dict[str, str | None] = field(default_factory=dict)
    """Annotations to set, or to remove."""
    owner: dict[str, str] | None = None
    """ownerRef to set."""


class RefusedError(Exception):
    """A write is refused; the message says where, why and what to do, the code is HTTP's."""

    def __init__(self, reason: str, message: str, code: int = 403) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.code = code


def read_review(
    operation: str, old: Mapping[str, object] | None, new: Mapping[str, object] | None, dry_run: bool
) -> Review:
    """Read a review. Raises RefusedError when the new object is no valid resource."""
    some: Mapping[str, object] = new if new is not None else old or {}
    return Review(
        operation=operation,
        kind=text(some, "kind"),
        namespace=text(some, "metadata", "namespace"),
        name=text(some, "metadata", "name"),
        uid=text(some, "metadata", "uid"),
        old=_former(old),
        new=_model(new) if new is not None and operation != "DELETE" else None,
        old_spec=mapping(old, "spec"),
        new_spec=mapping(new, "spec"),
        old_notes=texts(old, "metadata", "annotations"),
        new_notes=texts(new, "metadata", "annotations"),
        dry_run=dry_run,
    )


def _slim(body: Mapping[str, object]) -> dict[str, object]:
    """Leave out what others write and we do not read, such as managedFields."""
    names = ("name", "namespace", "labels")
    metadata = {name: value for name, value in mapping(body, "metadata").items() if name in names}
    return {
        "apiVersion": body.get("apiVersion"),
        "kind": body.get("kind"),
        "metadata": metadata,
        "spec": mapping(body, "spec"),
    }


def _model(body: Mapping[str, object]) -> Resource:
    try:
        return parse_resource(_slim(body), unknown="ignore")
    except InvalidResourceError as error:
        raise RefusedError("Invalid", "; ".join(map(str, error.problems[:5])), 422) from error


def _former(body: Mapping[str, object] | None) -> Resource | None:
    if body is None:
        return None
    try:
        return parse_resource(_slim(body), unknown="ignore")
    except InvalidResourceError:
        return None  # stored before a rule existed: whatever replaces it is better
