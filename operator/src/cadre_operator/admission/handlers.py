"""kopf's side of admission: reads the request, asks the judge, answers; nothing is written anywhere."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import kopf

from cadre_api.v1alpha1 import GROUP, KINDS, VERSION, Agent
from cadre_core.manifests.settings import ClusterSettings
from cadre_operator.admission.access import AccessReviews
from cadre_operator.admission.identity import identify
from cadre_operator.admission.judge import Court, mutate, validate, validate_scale
from cadre_operator.admission.lag import patiently, with_news
from cadre_operator.admission.login import login_warning, signs_in
from cadre_operator.admission.problems import Flawless
from cadre_operator.admission.review import RefusedError, Review, read_review
from cadre_operator.keys import Key
from cadre_operator.kube.fields import number, text
from cadre_operator.settings import Identities
from cadre_operator.world import World

_LOG = logging.getLogger(__name__)


def register_admission(
    registry: kopf.OperatorRegistry, world: World, identities: Identities, review_seconds: float
) -> None:
    """Register the webhooks `mutate`, `validate` and `scale`; the API server waits so long for an answer."""
    desk = Desk(world, identities, review_seconds)
    for kind in KINDS.values():
        where = (GROUP, VERSION, kind.crd.plural)
        kopf.on.mutate(*where, id="mutate", operations=["CREATE", "UPDATE"], registry=registry)(desk.mutate)
        kopf.on.validate(*where, id="validate", operations=["CREATE", "UPDATE", "DELETE"], registry=registry)(
            desk.validate
        )
    agents = (GROUP, VERSION, "agents")
    kopf.on.validate(*agents, id="scale", subresource="scale", operations=["UPDATE"], registry=registry)(
        desk.scale
    )


class Desk:
    """Receives reviews."""

    def __init__(self, world: World, identities: Identities, review_seconds: float) -> None:
        self._world = world
        self._identities = identities
        self._access = AccessReviews(world.kube, world.clock, review_seconds)
        self._review_seconds = review_seconds
        self._flawless: dict[tuple[str, ClusterSettings], Flawless] = {}

    async def mutate(self, patch: kopf.Patch, **kwargs: Any) -> None:
        """Stamp consent and held changes, name the requester as owner."""
        try:
            review = self._read(kwargs)
            if signs_in(review):
                return
            answer = await mutate(review, self._court(kwargs, review.namespace))
        except RefusedError as error:
            raise self._refused(kwargs, error) from error
        for name, value in answer.notes.items():
            if value != review.new_notes.get(name):
                patch.metadata.annotations[name] = value
        if answer.owner is not None:
            patch.spec["ownerRef"] = answer.owner
        if answer.notes and not review.dry_run:
            _LOG.info("stamped", extra={"object": review.subject, "stamps": ", ".join(answer.notes)})

    async def validate(self, warnings: list[str], **kwargs: Any) -> None:
        """Refuse what the chart does not allow, and what would break it."""
        try:
            review = self._read(kwargs)
            if signs_in(review):
                warnings.append(self._login(review, kwargs["userinfo"]))
                return
            clock, seconds = self._world.clock, self._review_seconds
            warnings.extend(await patiently(lambda: self._validated(review, kwargs), clock, seconds))
        except RefusedError as error:
            raise self._refused(kwargs, error) from error
        self._count(review.kind, "Allowed")

    async def scale(self, **kwargs: Any) -> None:
        """Refuse replicas beyond the agent's maximum, or set by somebody without a say."""
        body: Mapping[str, object] = kwargs["body"]
        namespace, name = text(body, "metadata", "namespace"), text(body, "metadata", "name")
        entry = self._world.store.entry(Key("Agent", namespace, name))
        agent = entry.model if entry is not None and isinstance(entry.model, Agent) else None
        court = self._court(kwargs, namespace)
        try:
            await validate_scale(agent, namespace, name, number(body, "spec", "replicas"), court)
        except RefusedError as error:
            raise self._refused(kwargs, error) from error
        self._count("Scale", "Allowed")

    async def _validated(self, review: Review, kwargs: Mapping[str, Any]) -> tuple[str, ...]:
        court, world = self._court(kwargs, review.namespace), self._world
        places = world.book.namespaces(world.book.tenant_of(review.namespace))
        entries = (entry for place in places for entry in world.store.in_namespace(place))
        return await validate(review, replace(court, state=with_news(court.state, entries)))

    def _login(self, review: Review, userinfo: Mapping[str, object]) -> str:
        groups = userinfo.get("groups")
        names = tuple(map(str, groups)) if isinstance(groups, list | tuple) else ()
        warning = login_warning(review, text(userinfo, "username"), names, self._world.login_keys())
        self._count("Login", "Allowed")
        return warning

    def _read(self, kwargs: Mapping[str, Any]) -> Review:
        old, new = kwargs.get("old"), kwargs.get("new")
        return read_review(str(kwargs["operation"]), old, new, bool(kwargs["dryrun"]))

    def _court(self, kwargs: Mapping[str, Any], namespace: str) -> Court:
        world = self._world
        state = world.book.state_for(namespace)
        if not world.started():
            raise kopf.AdmissionError("Starting: the chart is being read; try again", code=503)
        snapshot = state.snapshot if state is not None else None
        caller = identify(kwargs["userinfo"], snapshot, self._identities)
        userinfo: Mapping[str, object] = kwargs["userinfo"]
        return Court(
            state,
            caller,
            lambda: self._access.may_create_tenants(userinfo),
            world.seal_key,
            world.now(),
            world.frozen,
            world.compiler,
            self._flawless.setdefault((world.book.tenant_of(namespace), world.cluster), Flawless()),
        )

    def _refused(self, kwargs: Mapping[str, Any], error: RefusedError) -> kopf.AdmissionError:
        kind = text(kwargs["body"], "kind")
        self._count(kind, "Refused")
        return kopf.AdmissionError(str(error), code=error.code)

    def _count(self, kind: str, answer: str) -> None:
        self._world.metrics.admissions.labels(kind, answer).inc()
