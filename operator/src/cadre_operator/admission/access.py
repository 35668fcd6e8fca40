"""Asks the API server's own rules who may found a company; whoever may is a tenant admin everywhere.

A yes is believed for some seconds: a GitOps agent that writes a thousand objects would else have us ask two
thousand times. A no is always asked anew.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Mapping

from cadre_api.v1alpha1 import GROUP
from cadre_operator.admission.review import RefusedError
from cadre_operator.kube.fields import Json, at
from cadre_operator.kube.port import Kube, KubeError

_LOG = logging.getLogger(__name__)
BELIEVED_SECONDS = 5.0
_ANSWER_SECONDS = 5.0
_REVIEW_SECONDS = 10.0


class AccessReviews:
    """Questions to the API server, and the answers of the last seconds."""

    def __init__(
        self, kube: Kube, clock: Callable[[], float], review_seconds: float = _REVIEW_SECONDS
    ) -> None:
        self._kube = kube
        self._clock = clock
        # before the API server gives up on us, so that the refusal says why
        self._patience = min(_ANSWER_SECONDS, review_seconds / 2)
        self._until: dict[str, float] = {}
        """User with groups and all -> until when a yes is believed."""

    async def may_create_tenants(self, userinfo: Mapping[str, object]) -> bool:
        """Whether a user may. Raises RefusedError when the API server does not say."""
        names = {"user": "username", "groups": "groups", "uid": "uid", "extra": "extra"}
        who = {name: userinfo.get(source) for name, source in names.items()}
        who = {name: value for name, value in who.items() if value}
        user = json.dumps(who, sort_keys=True, default=str)
        now = self._clock()
        if self._until.get(user, 0.0) > now:
            return True
        if not await self._ask(who):
            return False
        self._until = {name: until for name, until in self._until.items() if until > now}
        self._until[user] = now + BELIEVED_SECONDS
        return True

    async def _ask(self, who: Json) -> bool:
        attributes = {"group": GROUP, "resource": "tenants", "verb": "create"}
        review: Json = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "metadata": {},
            "spec": {**who, "resourceAttributes": attributes},
        }
        try:
            answer = await asyncio.wait_for(self._kube.create(review), self._patience)
        except (KubeError, TimeoutError) as error:
            _LOG.warning("access review failed", extra={"reason": str(error)})
            message = "the API server did not say in time what you may do; try again"
            raise RefusedError("Unavailable", message, 503) from error
        return at(answer, "status", "allowed") is True
