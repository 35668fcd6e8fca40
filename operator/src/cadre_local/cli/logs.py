"""`cadre logs AGENT`: what an agent and its guard write, from its pods or from this machine's files."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from urllib.parse import urlencode

import click

from cadre_api.protocol.base import type_json
from cadre_local.cli.completion import agent_names
from cadre_local.cli.context import Session, pass_session
from cadre_local.cli.framework import Command
from cadre_local.errors import CadreError
from cadre_local.kube.client import KubeRefusedError
from cadre_local.kube.find import find_agent
from cadre_local.kube.target import ClusterTarget
from cadre_local.objects import dig, key_of
from cadre_local.paths import file_key

LABEL = "cadre.dev/agent"
POLL = 0.2
"""Seconds between looks at a file that is followed."""
_TAIL_BYTES = 1 << 20


@click.command(cls=Command)
@click.argument("agent", shell_complete=agent_names)
@click.option("-f", "--follow", is_flag=True, help="Go on as more is written; Ctrl-C ends.")
@click.option("-c", "--container", type=click.Choice(["guard", "agent"]), default="guard", show_default=True)
@click.option("--tail", type=click.IntRange(0), default=200, show_default=True, help="Last lines; 0 = all.")
@click.option("--previous", is_flag=True, help="Cluster: of the container before its last restart.")
@pass_session
def logs(session: Session, agent: str, follow: bool, container: str, tail: int, previous: bool) -> None:
    """What an agent and its guard write.

    The guard never writes a text or a value that it saw, only what it did about it. A story of a task with
    its texts (masked as for you) is `cadre task show`.
    """
    if cluster := session.cluster:
        _of_pods(cluster, agent, container, follow=follow, tail=tail, previous=previous)
        return
    if container == "agent":
        raise CadreError(
            "NoAgentLog",
            "on a desktop the agent's own output is not kept: it may hold texts",
            f"cadre logs {agent}, or cadre task show TASK",
        )
    file = _file(session, agent)
    for line in _lines(file, tail, follow):
        click.echo(line)


def _file(session: Session, agent: str) -> Path:
    files = sorted(session.home.logs.glob("guard.*.log"))
    for file in files:
        key = file.name.removeprefix("guard.").removesuffix(".log")
        if key == file_key(agent) or key.partition(".")[2] == agent:
            return file
    known = ", ".join(file.name.split(".")[2] for file in files)
    raise CadreError(
        "NotFound", f"no log of an agent {agent}", f"there are: {known}" if known else "cadre up"
    )


def _lines(file: Path, tail: int, follow: bool) -> Iterator[str]:
    with file.open("rb") as opened:
        if tail:
            opened.seek(max(0, file.stat().st_size - _TAIL_BYTES))
        lines = opened.read().decode(errors="replace").splitlines()
        yield from lines[-tail:] if tail else lines
        while follow:
            if line := opened.readline():
                yield line.decode(errors="replace").rstrip("\n")
            else:
                time.sleep(POLL)


def _of_pods(
    cluster: ClusterTarget, name: str, container: str, *, follow: bool, tail: int, previous: bool
) -> None:
    found = find_agent(cluster, name)
    namespace, own = dig(found, "metadata", "namespace"), dig(found, "metadata", "name")
    pods = _pods(cluster, namespace, own)
    if not pods:
        phase = dig(found, "status", "phase") or "without a status"
        fix = f"kubectl cadre describe agent {own}" + ("; resume it" if phase == "Suspended" else "")
        raise CadreError("NoPods", f"{key_of(found)} is {phase} and has no pod", fix)
    query = {"container": container} | ({"tailLines": str(tail)} if tail else {})
    query |= {"follow": "true"} if follow else {}
    query |= {"previous": "true"} if previous else {}
    streams = [_prefixed(cluster, namespace, pod, urlencode(query), many=len(pods) > 1) for pod in pods]
    if follow and len(streams) > 1:
        _all_at_once(streams)
        return
    for stream in streams:
        for line in stream:
            click.echo(line)


def _pods(cluster: ClusterTarget, namespace: str, agent: str) -> list[type_json]:
    try:
        return cluster.kube.collect(f"/api/v1/namespaces/{namespace}/pods", f"{LABEL}={agent}")
    except KubeRefusedError as error:
        if error.status != 403:
            raise
        fix = f"kubectl cadre describe agent {agent} says what is wrong, cadre task show TASK what it did"
        raise CadreError("Forbidden", f"you may not read pods in {namespace}", fix) from error


def _prefixed(
    cluster: ClusterTarget, namespace: str, pod: type_json, query: str, *, many: bool
) -> Iterator[str]:
    name = dig(pod, "metadata", "name")
    pieces = cluster.kube.stream(f"/api/v1/namespaces/{namespace}/pods/{name}/log?{query}")
    for line in _split(pieces):
        yield f"{name}: {line}" if many else line


def _split(pieces: Iterable[bytes]) -> Iterator[str]:
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        yield from (line.decode(errors="replace") for line in lines)
    if rest:
        yield rest.decode(errors="replace")


def _all_at_once(streams: list[Iterator[str]]) -> None:
    lock = threading.Lock()

    def follow(stream: Iterator[str]) -> Callable[[], None]:
        def run() -> None:
            for line in stream:
                with lock:
                    click.echo(line)

        return run

    threads = [threading.Thread(target=follow(stream), daemon=True) for stream in streams]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
