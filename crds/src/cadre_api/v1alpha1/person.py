"""Person: who people are to the org chart, kept apart so that `get orgnodes` shows no mail or absence."""

from typing import Annotated, ClassVar, Literal

from pydantic import AwareDatetime, Field

from cadre_api.schema import ApiModel, Column, Crd, ListMap, Rule
from cadre_api.v1alpha1.common import Clearance, Name, ObjectRef, Resource, Status, Text, Url


class Identity(ApiModel):
    """The login that proves to be this person: issuer and subject, as e-mail addresses get reassigned."""

    issuer: Url
    """Issuer URL of the identity provider, exactly as in its tokens (`iss`)."""
    subject: Annotated[str, Field(min_length=1, max_length=255)]
    """The provider's unchanging id of the person (`sub`)."""


class Absence(ApiModel):
    """A time in which someone else decides for the person."""

    validations = (Rule("self.from < self.to", "from must be before to", lambda a: a.from_ < a.to),)

    name: Name
    """Name of this absence, such as winter, so that it can be edited alone."""
    from_: AwareDatetime
    """First moment of the absence, with time zone."""
    to: AwareDatetime
    """End of the absence, with time zone; not part of it."""
    delegate_ref: ObjectRef | None = None
    """Person who decides meanwhile, chosen by the absent person. Default: the next in the reporting line."""


class PersonSpec(ApiModel):
    """Set by HR or a tenant admin, by hand or by import."""

    identity: Identity | None = None
    """How the person signs in. Default: none, so the person appears in the chart but cannot sign in."""
    display_name: Text
    """Name for people to read; the guard treats it as personal data."""
    email: Annotated[str, Field(max_length=254, pattern=r"^[^@\s]+@[^@\s]+$")] | None = None
    """Where notifications go; never an identity. Default: none, so no mail is sent."""
    clearance: Clearance = ()
    """Data classes this person may see unmasked; widening it needs a tenant admin. Default: none."""
    absences: Annotated[tuple[Absence, ...], Field(max_length=64), ListMap("name")] = ()
    """Times away, kept by the person or HR. Default: none."""


class PersonStatus(Status):
    """Whether the person resolves; written by Cadre."""


class Person(Resource):
    """A human in the org chart: identity, clearance and absences."""

    crd: ClassVar[Crd] = Crd(
        plural="persons",
        singular="person",
        short_name="cdperson",
        columns=(
            Column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
            Column("Age", ".metadata.creationTimestamp", "date"),
        ),
    )

    kind: Literal["Person"] = "Person"
    """Always Person."""
    spec: PersonSpec
    """Who the person is."""
    status: PersonStatus | None = None
    """What Cadre observed."""
