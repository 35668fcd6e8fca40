"""What a workflow asks of services that are no agents: one HTTP request per step."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from cadre_api.schema import ApiModel, ListMap, exactly_one_of, only_with
from cadre_api.v1alpha1.common import Cel, Duration, SecretKeyRef

Host = Annotated[str, Field(max_length=259, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?(:[0-9]{1,5})?$")]


class HttpMethod(StrEnum):
    """What is asked for (RFC 9110)."""

    GET = "GET"
    POST = "POST"
    PUT = "PUT"
    PATCH = "PATCH"
    DELETE = "DELETE"


class HttpHeader(ApiModel):
    """One header; exactly one of value and secret is set."""

    validations = (exactly_one_of("value", "secret"), only_with("scheme", "secret"))

    name: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9-]+$")]
    """Name of the header."""
    value: Cel | None = None
    """Its value, as CEL over `params`, `steps` and `item`; never a credential. Default: not set."""
    secret: SecretKeyRef | None = None
    """A credential by reference; it is sent only to hosts that the secret's own key `hosts` lists. Default:
    not set."""
    scheme: Annotated[str, Field(max_length=32, pattern=r"^[A-Za-z0-9-]+$")] | None = None
    """Word before the credential, such as Bearer. Default: none."""


class HttpRequest(ApiModel):
    """One request to a service outside; its result is `{status, body}`."""

    method: HttpMethod = HttpMethod.GET
    """GET, POST, PUT, PATCH or DELETE. Default: GET."""
    url: Cel
    """Where to, as CEL that gives a URL; its host is one of the workflow's `hosts`. Private and local
    addresses need the administrator's leave besides."""
    query: Annotated[dict[str, Cel], Field(max_length=32)] | None = None
    """Parameters that are added to the URL, encoded, as CEL. Default: none."""
    headers: Annotated[tuple[HttpHeader, ...], Field(max_length=16), ListMap("name")] = ()
    """Headers. Default: none but what HTTP needs, and an Idempotency-Key for everything but GET."""
    body: Cel | None = None
    """Body, as CEL: a text is sent as it is, all else as JSON. Default: none."""
    idempotent: bool = False
    """Whether it may be sent again when nobody knows whether it was carried out; GET, PUT and DELETE always
    may. Where it may not, such a step fails as OutcomeUnknown. Default: false."""
    attempts: Annotated[int, Field(ge=1, le=10)] = 3
    """How often it is tried while the service is down or busy. Default: 3."""
    timeout: Duration = "30s"
    """Longest time for one attempt, at most 5m. Default: 30s."""
