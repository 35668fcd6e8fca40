"""A process of simulated guards, each as light as can be: two raw connections, as a real guard has, one
waiting for work and messages and one for a new bundle.

Arguments: port, agents, seconds of a wait. It says `ready` once all wait, and at each line it is given, when
each message was acknowledged: `{id: CLOCK_MONOTONIC seconds}`.
"""

import asyncio
import json
import sys
import time

import uvloop

_SIGNING_IN = 24
_BUSY = 503


class Link:
    """One kept connection that asks one thing after another."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.token = ""

    async def ask(self, method: str, path: str, body: object = None) -> tuple[int, bytes]:
        """Status and body of the answer; an overload is waited out, as guards do."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port, limit=16_384)
        reader, writer = self._streams
        data = b"" if body is None else json.dumps(body).encode()
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: guards\r\nAuthorization: Bearer {self.token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        )
        writer.write(head.encode() + data)
        lines = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
        length = next((int(x.split(b":")[1]) for x in lines if x.lower().startswith(b"content-length")), 0)
        status, answer = int(lines[0].split()[1]), await reader.readexactly(length)
        if status == _BUSY:
            await asyncio.sleep(1)
            return await self.ask(method, path, body)
        return status, answer


class Crowd:
    """All of them."""

    def __init__(self, port: int, wait: float) -> None:
        self._port = port
        self._wait = wait
        self._door = asyncio.Semaphore(_SIGNING_IN)
        self.waiting = 0
        self.acked: dict[str, float] = {}

    async def guard(self, agent: str) -> None:
        """One agent's guard: claim, acknowledge, claim again."""
        link = Link(self._port)
        async with self._door:
            proof = {"bootstrap": f"secret of {agent}", "agent": agent, "instance": "one"}
            status, body = await link.ask("POST", "/guard/v1/token", proof)
            if status != 200:
                raise SystemExit(f"no token for {agent}: {status} {body[:200]!r}")
            link.token = json.loads(body)["token"]
        beside = asyncio.create_task(self._bundles(link.token))
        self.waiting += 1
        asked = {"capacity": 1, "waitSeconds": self._wait, "messages": 5}
        while True:
            status, body = await link.ask("POST", "/guard/v1/claims", asked)
            if status != 200:
                raise SystemExit(f"no claim for {agent}: {status} {body[:200]!r}")
            ids = [message["id"] for message in json.loads(body)["messages"]]
            if ids:
                await link.ask("POST", "/guard/v1/messages/ack", {"acked": ids})
                self.acked.update(dict.fromkeys(ids, time.monotonic()))
            assert not beside.done()

    async def _bundles(self, token: str) -> None:
        link, newest = Link(self._port), 1
        link.token = token
        while True:
            await link.ask("GET", f"/guard/v1/bundle?after={newest}&wait={self._wait:g}")


async def main(port: int, agents: int, wait: float) -> None:
    """Until the input ends."""
    crowd = Crowd(port, wait)
    guards = [asyncio.create_task(crowd.guard(f"co/a{number}")) for number in range(agents)]
    while crowd.waiting < agents:
        await asyncio.sleep(0.05)
        if ended := next((task for task in guards if task.done()), None):
            ended.result()
    print("ready", flush=True)
    while await asyncio.to_thread(sys.stdin.readline):
        print(json.dumps(crowd.acked), flush=True)
    for task in guards:
        task.cancel()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
