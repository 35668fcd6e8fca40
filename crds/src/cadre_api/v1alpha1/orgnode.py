"""OrgNode: one box of the org chart, tied to its parent by reference, never by nesting."""

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from cadre_api.schema import ApiModel, Column, Crd, ListMap, ListSet, Rule, at_least_one_of
from cadre_api.v1alpha1.common import (
    Currency,
    Freeze,
    MemberRole,
    Money,
    Name,
    ObjectRef,
    Percent,
    Resource,
    Status,
    Text,
)


class NodeType(StrEnum):
    """What a box of the chart stands for."""

    ORGANIZATION = "Organization"
    DIVISION = "Division"
    DEPARTMENT = "Department"
    TEAM = "Team"
    POSITION = "Position"


class BudgetPeriod(StrEnum):
    """Calendar period, in the node's time zone, after which a budget starts anew."""

    DAY = "Day"
    WEEK = "Week"
    MONTH = "Month"


class OnExceeded(StrEnum):
    """What happens to model calls when the budget is used up."""

    DOWNSHIFT = "Downshift"
    LOCAL_ONLY = "LocalOnly"
    STOP = "Stop"


class Consent(StrEnum):
    """Whose consent a new or widened agent needs."""

    NEVER = "Never"
    HEAD = "Head"
    APPROVER = "Approver"


class GrantKind(StrEnum):
    """Kinds that another namespace may attach here."""

    ORG_NODE = "OrgNode"
    AGENT = "Agent"


class Member(ApiModel):
    """A person with roles at this node."""

    person_ref: ObjectRef
    """The person."""
    roles: Annotated[tuple[MemberRole, ...], Field(min_length=1, max_length=8), ListSet()]
    """Head, Member, Approver, Auditor or AgentRequester; given by the head of the parent node."""


class Locale(ApiModel):
    """Language, time and place of work here."""

    languages: (
        Annotated[
            tuple[Annotated[str, Field(max_length=35, pattern=r"^[a-zA-Z]{2,8}(-[a-zA-Z0-9]{1,8})*$")], ...],
            Field(min_length=1, max_length=16),
        ]
        | None
    ) = None
    """BCP 47 tags, preferred first; the guard looks for names in all of them. Default: the parent's, at a
    root [en]."""
    time_zone: Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z][A-Za-z0-9_+/-]*$")] | None = None
    """IANA name such as Europe/Berlin; budgets and absences follow it. Default: the parent's, at a root
    UTC."""
    data_residency: Name | None = None
    """Region in which data must stay, such as eu. Default: the parent's, at a root no restriction."""


class Budget(ApiModel):
    """What agents in this subtree may spend per period."""

    validations = (
        at_least_one_of("amount", "tokens"),
        Rule(
            "has(self.amount) == has(self.currency)",
            "amount and currency belong together",
            lambda b: (b.amount is None) == (b.currency is None),
        ),
    )

    period: BudgetPeriod = BudgetPeriod.MONTH
    """Day, Week or Month. Default: Month."""
    amount: Money | None = None
    """Money for model calls, a quoted decimal such as "250.00". Default: not limited here."""
    currency: Currency | None = None
    """ISO 4217 code of `amount`, such as USD. Default: none; required beside `amount`."""
    tokens: Annotated[int, Field(ge=1, le=1_000_000_000_000_000)] | None = None
    """Tokens in and out, all models together. Default: not limited here."""
    warn_at_percent: Percent = 80
    """Share of the budget at which heads are warned. Default: 80."""
    on_exceeded: OnExceeded = OnExceeded.STOP
    """Downshift to the cheapest model, LocalOnly models, or Stop. Default: Stop."""


class AgentRules(ApiModel):
    """Which agents may live in this subtree."""

    max: Annotated[int, Field(ge=0, le=100_000)] | None = None
    """Most agents in this subtree, set by the head of the parent. Default: as many as the parent allows."""
    allowed_profiles: Annotated[tuple[ObjectRef, ...], Field(max_length=64)] | None = None
    """Profiles agents may use here; an empty list allows none. Default: what the parent allows."""
    running: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """Most tasks that agents of this subtree work on at once; others wait. Default: not limited here."""
    consent: Consent | None = None
    """Who must agree before an agent starts or gains rights: Never, Head or Approver. Default: the
    parent's, at a root Head."""


class Grant(ApiModel):
    """Lets other namespaces hang objects under this node."""

    name: Name
    """Name of the grant."""
    kinds: Annotated[tuple[GrantKind, ...], Field(min_length=1, max_length=2), ListSet()]
    """What may be attached: OrgNode, Agent or both."""
    namespaces: Annotated[tuple[Name, ...], Field(min_length=1, max_length=64), ListSet()]
    """Namespaces that may do so, named one by one."""


def _members_unique(spec: "OrgNodeSpec") -> bool:
    return len({(m.person_ref.namespace, m.person_ref.name) for m in spec.members}) == len(spec.members)


class OrgNodeSpec(ApiModel):
    """Set by the head of the parent node or a tenant admin; the head may edit title, locale and profile."""

    validations = (
        Rule(
            "has(self.parentRef) == has(oldSelf.parentRef)",
            "a node is a root (no parentRef) or not for its whole life; create a new node instead",
        ),
        Rule(
            "!has(self.members)"
            " || self.members.all(m, self.members.exists_one(o, o.personRef == m.personRef))",
            "list each person once in members, with all roles",
            _members_unique,
        ),
    )

    type: NodeType
    """Organization, Division, Department, Team or Position; for people to read, rights do not depend on
    it."""
    title: Text
    """Name of the unit for people to read."""
    parent_ref: ObjectRef | None = None
    """The node above. Default: none, which makes this a root (a tenant); that needs its own right and
    never changes."""
    members: Annotated[tuple[Member, ...], Field(max_length=256)] = ()
    """People here and their roles; heads form the reporting line upwards. Default: none, so the parent's
    head decides."""
    profile_ref: ObjectRef | None = None
    """Profile of agents here that name none. Default: the parent's."""
    locale: Locale | None = None
    """Language, time zone and residency. Default: the parent's."""
    budget: Budget | None = None
    """Ceiling for spending in this subtree; budgets further down only divide it. Default: the parent's
    alone."""
    agents: AgentRules | None = None
    """Which agents may live here. Default: what the parent allows."""
    grants: Annotated[tuple[Grant, ...], Field(max_length=32), ListMap("name")] = ()
    """Other namespaces that may attach nodes or agents here. Default: none."""
    freeze: Freeze | None = None
    """Stops every agent of this subtree within seconds; at a root, of the tenant. Written by heads here and
    above. Default: not frozen."""


class AgentCounts(ApiModel):
    """Rounded counters, at most every five minutes; exact ones live in the controller."""

    total: Annotated[int, Field(ge=0)] = 0
    """Agents in the subtree."""
    ready: Annotated[int, Field(ge=0)] = 0
    """Agents in the subtree that are ready."""


class OrgNodeStatus(Status):
    """Where the node stands in the tree; written by Cadre."""

    path: Annotated[str, Field(max_length=4096)] | None = None
    """Names from the root to this node, such as acme/finance."""
    agents: AgentCounts | None = None
    """How many agents live in the subtree."""


class OrgNode(Resource):
    """One unit or position of the org chart; a tree by `parentRef`."""

    validations = (
        *Resource.validations,
        Rule(
            "!has(self.spec.parentRef) || has(self.spec.parentRef.__namespace__)"
            " || self.spec.parentRef.name != self.metadata.name",
            "parentRef must name another node: a node cannot be its own parent",
            lambda n: (
                n.spec.parent_ref is None
                or n.spec.parent_ref.namespace is not None
                or n.spec.parent_ref.name != n.metadata.name
            ),
        ),
    )
    crd: ClassVar[Crd] = Crd(
        plural="orgnodes",
        singular="orgnode",
        short_name="cdnode",
        columns=(
            Column("Type", ".spec.type"),
            Column("Title", ".spec.title"),
            Column("Parent", ".spec.parentRef.name"),
            Column("Agents", ".status.agents.total", "integer"),
            Column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
            Column("Age", ".metadata.creationTimestamp", "date"),
        ),
    )

    kind: Literal["OrgNode"] = "OrgNode"
    """Always OrgNode."""
    spec: OrgNodeSpec
    """What the unit is and what may happen in it."""
    status: OrgNodeStatus | None = None
    """What Cadre observed."""
