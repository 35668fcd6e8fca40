"""What one logical model call carries from its checks to its bill."""

from dataclasses import dataclass
from decimal import Decimal

from cadre_controller.gateways.model.reading import TokenUsage
from cadre_controller.gateways.model.request import ModelRequest
from cadre_controller.gateways.model.select import Candidate
from cadre_controller.ports import AgentIdentity
from cadre_controller.services.models import HeldTask, ModelCall


@dataclass(frozen=True, slots=True)
class CallHeaders:
    """The Cadre-* headers of a model call."""

    task_id: str
    session_id: str
    fence: int
    purpose: str
    call_id: str


@dataclass(frozen=True, slots=True)
class PreparedCall:
    """A call that may be made: fenced, permitted, affordable, free of leftovers."""

    identity: AgentIdentity
    held: HeldTask
    headers: CallHeaders
    request: ModelRequest
    options: tuple[Candidate, ...]

    def priced(self, option: Candidate, trace_id: str) -> ModelCall:
        """The most that the call can cost at one model."""
        given, made = self.request.input_tokens(), self.request.output_tokens()
        return ModelCall(
            tenant=self.held.tenant,
            agent=self.held.agent,
            task_id=self.held.id,
            session_id=self.held.session_id,
            call_id=self.headers.call_id,
            provider=option.provider.key,
            model=option.model,
            purpose=self.headers.purpose,
            amount=option.cost(given, made),
            tokens=given + made,
            trace_id=trace_id,
        )


@dataclass(frozen=True, slots=True)
class Finished:
    """What a call came to."""

    option: Candidate
    usage: TokenUsage
    cost: Decimal
    latency_ms: float
    result: str
