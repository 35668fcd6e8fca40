"""Every model call of every agent: fence, policy, selection, second scan, budget, then the provider, then
the bill.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

from cadre_api.protocol.base import Effect
from cadre_controller.errors import BudgetExceeded, CadreError, Denied
from cadre_controller.gateways.model.apis import APIS, Api
from cadre_controller.gateways.model.call import CallHeaders, PreparedCall
from cadre_controller.gateways.model.request import ModelRequest
from cadre_controller.gateways.model.scan import EgressScan
from cadre_controller.gateways.model.select import (
    LOCAL,
    Candidate,
    Rejection,
    candidates,
    permitted,
    within_budget,
)
from cadre_controller.ports import AgentIdentity
from cadre_controller.services.assembly import Services
from cadre_controller.services.models import BudgetVerdict, HeldTask, LiveChart
from cadre_core.model import EffectiveAgent
from cadre_core.policy.decide import ModelResource, PolicyRequest, evaluate


class ModelGateway:
    """Decides whether and where a call may go; `Forwarder` then makes it."""

    def __init__(self, services: Services, scan: EgressScan, is_local: Callable[[str, int], bool]) -> None:
        self._services = services
        self._scan = scan
        self._is_local = is_local

    async def prepare(
        self, identity: AgentIdentity, headers: CallHeaders, request: ModelRequest
    ) -> PreparedCall:
        """All checks, before anything is sent anywhere; raises CadreError, and the refusal is audited."""
        async with self._verdict(identity) as verdict:
            held = await self._services.leases.held(identity, headers.task_id, headers.fence)
            try:
                options = await self._options(identity, held, headers, request, verdict)
            except CadreError as error:
                await self._note_refusal(identity, held, error)
                raise
        return PreparedCall(identity, held, headers, request, options)

    @asynccontextmanager
    async def _verdict(self, identity: AgentIdentity) -> AsyncIterator["asyncio.Task[BudgetVerdict]"]:
        """How the budgets stand, read while the other checks are made."""
        task = asyncio.ensure_future(self._services.budgets.verdict(identity.tenant, identity.agent))
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _options(
        self,
        identity: AgentIdentity,
        held: HeldTask,
        headers: CallHeaders,
        request: ModelRequest,
        verdict: Awaitable[BudgetVerdict],
    ) -> tuple[Candidate, ...]:
        if headers.session_id != held.session_id:
            raise Denied(
                "WrongSession", "the session is not the task's", "send the Cadre-Session of the lease"
            )
        chart = self._services.chart.current(identity.tenant)
        agent = _agent(chart, identity.agent)
        classes = self._scan.classes_of_tokens(agent, request)
        listed = self._speakers(agent, chart, headers, request.api)
        allowed, rejected = permitted(listed, lambda option: _decide(chart, agent, option, classes))
        if not allowed:
            raise _none_permitted(agent, rejected)
        affordable = _affordable(identity, allowed, await verdict)
        return await self._clean(chart, agent, request, affordable)

    def apis(self, identity: AgentIdentity) -> tuple[str, ...]:
        """The APIs that a model of this agent speaks natively; none when it is not running."""
        chart = self._services.chart.current(identity.tenant)
        agent = chart.snapshot.agents.get(identity.agent)
        if agent is None:
            return ()
        listed = candidates(agent, chart.snapshot.providers, "work", self._is_local)
        dialects = {option.provider.dialect for option in listed}
        return tuple(api.name for api in APIS if dialects & api.speakers)

    def _speakers(
        self, agent: EffectiveAgent, chart: LiveChart, headers: CallHeaders, api: Api
    ) -> tuple[Candidate, ...]:
        listed = candidates(agent, chart.snapshot.providers, headers.purpose, self._is_local)
        found = tuple(option for option in listed if option.provider.dialect in api.speakers)
        if listed and not found:
            raise Denied(
                "DialectUnsupported",
                f"no model of agent {agent.key} speaks {api.name}",
                f"add a model of a provider of kind {' or '.join(sorted(api.speakers))} to its profile, "
                "or have the agent speak chat/completions",
            )
        return found

    async def _clean(
        self, chart: LiveChart, agent: EffectiveAgent, request: ModelRequest, options: tuple[Candidate, ...]
    ) -> tuple[Candidate, ...]:
        """Models outside the house only get what the second scan finds clean."""
        if all(option.locality == LOCAL for option in options):
            return options
        left = await self._leftovers(chart, agent, request)
        if not left:
            return options
        local = tuple(option for option in options if option.locality == LOCAL)
        if not local:
            raise Denied(
                "EgressBlocked",
                f"the request still holds {', '.join(left)} and must not leave",
                "the guard must mask the request; check its rules and version",
            )
        return local

    async def _leftovers(
        self, chart: LiveChart, agent: EffectiveAgent, request: ModelRequest
    ) -> tuple[str, ...]:
        rules = self._services.chart.guard_rules(chart.snapshot.tenant, agent.key)
        try:
            return await self._scan.leftovers(agent, rules, request)
        except Denied as error:
            raise Denied("EgressBlocked", error.message, error.fix) from error

    async def _note_refusal(self, identity: AgentIdentity, held: HeldTask, error: CadreError) -> None:
        data: Mapping[str, object] = {"reason": error.reason}
        await self._services.audit.append(
            identity.actor, "model.call", f"task:{held.id}", "denied", data=dict(data), trace_id=held.trace_id
        )


def _affordable(
    identity: AgentIdentity, allowed: tuple[Candidate, ...], verdict: BudgetVerdict
) -> tuple[Candidate, ...]:
    affordable = within_budget(allowed, verdict)
    if not affordable:
        raise BudgetExceeded(identity.agent, "Stop" if verdict is BudgetVerdict.STOP else "LocalOnly")
    return affordable


def _agent(chart: LiveChart, key: str) -> EffectiveAgent:
    agent = chart.snapshot.agents.get(key)
    if agent is None or agent.lifecycle != "Running":
        raise Denied("AgentNotRunning", f"agent {key} is not running in the chart", "add or resume the agent")
    return agent


def _decide(
    chart: LiveChart, agent: EffectiveAgent, option: Candidate, classes: frozenset[str]
) -> tuple[Effect, str, str]:
    request = PolicyRequest(
        subject=agent.key,
        subject_node=agent.node,
        action="UseModel",
        resource=ModelResource(provider=option.provider.key, model=option.model, locality=option.locality),
        data_classes=classes,
    )
    decision = evaluate(chart.program, request)
    return decision.effect, decision.reason, decision.message


def _none_permitted(agent: EffectiveAgent, rejected: tuple[Rejection, ...]) -> Denied:
    if not rejected:
        return Denied(
            "NoModel",
            f"agent {agent.key} has no model for this purpose",
            "list a model for the purpose `work` in its profile, and its ModelProvider in the chart",
        )
    told = "; ".join(f"{r.name}: {r.message or r.reason}" for r in rejected)
    return Denied(
        rejected[0].reason, f"no model is permitted: {told}", "change the policy or the profile's models"
    )
