"""Whoever started something that goes on without them: with the rights that they have today."""

from dataclasses import replace

from cadre_api.protocol.base import ActorType
from cadre_controller.errors import NotFound
from cadre_controller.ports import Actor
from cadre_controller.services.chart import ChartService


def owner(chart: ChartService, tenant: str, actor_id: str, person: str) -> Actor:
    """The person (chart key; empty = an administrator). Raises NotFound when they are gone."""
    actor = Actor(tenant, ActorType.PERSON, actor_id)
    if not person:
        return replace(actor, role="TenantAdmin")
    found = chart.current(tenant).snapshot.persons.get(person)
    if found is None:
        raise NotFound("UnknownPerson", "who started it is gone", "start it anew")
    return replace(actor, person=person, clearance=frozenset(found.clearance))
