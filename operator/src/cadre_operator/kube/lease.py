"""Leader election by a Lease: one replica writes, another takes over when it falls silent.

Silence is measured with our own clock from when we last saw the Lease change, so clocks need not agree. The
leader stops by itself before others may take over, and says so when it ends orderly.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from cadre_operator.kube.fields import Json, number, text
from cadre_operator.kube.port import Kube, KubeConflictError, KubeError, Ref

_LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class _Observed:
    record: tuple[str, str, int] = ("", "", 0)
    since: float = 0.0


class Elector:
    """Campaigns for a Lease and runs `lead` while it holds it."""

    def __init__(
        self,
        kube: Kube,
        lease: tuple[str, str],
        identity: str,
        seconds: float,
        clock: Callable[[], float],
        now: Callable[[], str],
    ) -> None:
        self._kube = kube
        self._ref = Ref("coordination.k8s.io/v1", "Lease", *lease)
        self._identity = identity
        self._seconds = seconds
        self._clock = clock
        self._now = now
        self._observed = _Observed()
        self._renewed = 0.0

    @property
    def _retry(self) -> float:
        return self._seconds / 7.5

    async def run(self, lead: Callable[[], Awaitable[None]]) -> None:
        """Campaign until cancelled; `lead` is cancelled when the Lease is lost."""
        while True:
            if not await self._try():
                await asyncio.sleep(self._retry)
                continue
            _LOG.info("leading", extra={"identity": self._identity})
            task = asyncio.ensure_future(lead())
            try:
                await self._hold(task)
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                _LOG.info("no longer leading", extra={"identity": self._identity})
                await self._release()

    async def _hold(self, task: "asyncio.Future[None]") -> None:
        while not task.done():
            await asyncio.wait([task], timeout=self._retry)
            held = await self._try()
            if not held and self._clock() - self._renewed > self._seconds * 2 / 3:
                return
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error

    async def _try(self) -> bool:
        """Take or renew the Lease; False when somebody else has it or the server does not answer."""
        asked = self._clock()
        try:
            async with asyncio.timeout(self._seconds / 3):
                held = await self._take()
        except (KubeError, TimeoutError) as error:
            _LOG.warning("lease not renewed", extra={"reason": str(error) or type(error).__name__})
            return False
        if held:
            self._renewed = asked
        return held

    async def _take(self) -> bool:
        lease = await self._kube.get(self._ref)
        if lease is None:
            return await self._create()
        holder = text(lease, "spec", "holderIdentity")
        if holder not in ("", self._identity) and not self._silent(lease):
            return False
        spec: Json = {"holderIdentity": self._identity, "renewTime": self._now()}
        if holder != self._identity:
            changes = number(lease, "spec", "leaseTransitions") + 1
            spec |= {"acquireTime": self._now(), "leaseTransitions": changes}
        spec["leaseDurationSeconds"] = max(1, round(self._seconds))
        return await self._patch(lease, spec)

    def _silent(self, lease: Mapping[str, object]) -> bool:
        record = (
            text(lease, "spec", "holderIdentity"),
            text(lease, "spec", "renewTime"),
            number(lease, "spec", "leaseTransitions"),
        )
        if record != self._observed.record:
            self._observed = _Observed(record, self._clock())
            return False
        stated = number(lease, "spec", "leaseDurationSeconds") or self._seconds
        return self._clock() - self._observed.since > stated

    async def _create(self) -> bool:
        lease: Json = {
            "apiVersion": self._ref.api_version,
            "kind": self._ref.kind,
            "metadata": {"name": self._ref.name, "namespace": self._ref.namespace},
            "spec": {
                "holderIdentity": self._identity,
                "leaseDurationSeconds": max(1, round(self._seconds)),
                "acquireTime": self._now(),
                "renewTime": self._now(),
                "leaseTransitions": 0,
            },
        }
        with suppress(KubeConflictError):
            await self._kube.create(lease)
            return True
        return False

    async def _patch(self, lease: Mapping[str, object], spec: Json) -> bool:
        version = text(lease, "metadata", "resourceVersion")
        with suppress(KubeConflictError):
            await self._kube.patch(self._ref, {"metadata": {"resourceVersion": version}, "spec": spec})
            return True
        return False

    async def _release(self) -> None:
        """Let another replica take over at once, instead of after the time-out."""
        with suppress(KubeError, TimeoutError):
            async with asyncio.timeout(self._seconds / 3):
                lease = await self._kube.get(self._ref)
                if lease is not None and text(lease, "spec", "holderIdentity") == self._identity:
                    await self._patch(lease, {"holderIdentity": "", "renewTime": self._now()})
