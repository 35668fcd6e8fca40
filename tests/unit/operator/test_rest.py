"""The operator's own requests: what the API server is asked, and what its answers and refusals become."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes.aio.client.configuration import Configuration

from cadre_operator.kube.connection import Connection
from cadre_operator.kube.fields import Json, text
from cadre_operator.kube.port import KubeConflictError, KubeError, Ref
from cadre_operator.kube.rest import RestKube

LEASE = Ref("coordination.k8s.io/v1", "Lease", "sys", "one")


@asynccontextmanager
async def kube(
    status: int, body: str, headers: dict[str, str] | None = None
) -> AsyncIterator[tuple[RestKube, list[str]]]:
    """A client of a server that answers all alike, and what it was asked."""
    asked: list[str] = []

    async def handle(request: web.Request) -> web.Response:
        await request.read()
        asked.append(f"{request.method} {request.path_qs} {request.headers['Accept'].partition(';')[2][:10]}")
        asked[-1] = asked[-1].strip()
        return web.Response(status=status, text=body, headers=headers)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    async with TestServer(app) as server:
        configuration = Configuration()
        configuration.host = str(server.make_url("/"))
        client = RestKube(Connection(configuration, lambda *_: None, lambda _: None))
        try:
            yield client, asked
        finally:
            await client.close()


def obj(kind: str, api_version: str = "v1") -> Json:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": "x", "namespace": "co"}}


async def test_of_parts_that_nobody_reads_back_the_metadata_is_enough() -> None:
    partial = {"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": {"uid": "u"}}
    async with kube(200, json.dumps(partial)) as (client, asked):
        found = await client.apply(obj("ConfigMap"))
    assert (found["kind"], found["apiVersion"], text(found, "metadata", "uid")) == ("ConfigMap", "v1", "u")
    query = "fieldManager=cadre-operator&force=true"
    assert asked == [f"PATCH /api/v1/namespaces/co/configmaps/x?{query} as=Partial"]


async def test_paths_are_those_of_the_api() -> None:
    async with kube(200, "{}") as (client, asked):
        await client.apply(obj("StatefulSet", "apps/v1"))
        await client.create(obj("Event"))
        await client.patch(LEASE, {"spec": {}}, "status")
        await client.delete(LEASE, "uid-1")
        await client.get(Ref("v1", "Pod", "co", "a b"))
    mine = "fieldManager=cadre-operator"
    assert asked == [
        f"PATCH /apis/apps/v1/namespaces/co/statefulsets/x?{mine}&force=true",
        f"POST /api/v1/namespaces/co/events?{mine}",
        f"PATCH /apis/coordination.k8s.io/v1/namespaces/sys/leases/one/status?{mine}",
        "DELETE /apis/coordination.k8s.io/v1/namespaces/sys/leases/one",
        "GET /api/v1/namespaces/co/pods/a%20b",
    ]


async def test_refusals_say_why_and_when_to_come_again() -> None:
    status = {"message": "slow down", "details": {"retryAfterSeconds": 7}}
    async with kube(429, json.dumps(status)) as (client, _):
        with pytest.raises(KubeError, match="slow down") as refused:
            await client.get(LEASE)
    assert (refused.value.status, refused.value.retry_after, refused.value.busy) == (429, 7.0, True)
    async with kube(503, "{}", {"Retry-After": "3"}) as (client, _):
        with pytest.raises(KubeError, match="Service Unavailable") as refused:
            await client.create(obj("Event"))
    assert refused.value.retry_after == 3.0


async def test_conflicts_and_absence_have_answers_of_their_own() -> None:
    async with kube(409, "no JSON") as (client, _):
        with pytest.raises(KubeConflictError):
            await client.patch(LEASE, {})
        with pytest.raises(KubeConflictError):
            await client.delete(LEASE)
    async with kube(404, "{}") as (client, _):
        assert await client.get(LEASE) is None
        await client.delete(LEASE)


async def test_no_answer_and_no_json_are_failures_to_try_again() -> None:
    async with kube(200, "<html>") as (client, _):
        with pytest.raises(KubeError, match="JSON") as refused:
            await client.get(LEASE)
    assert refused.value.status == 0
    configuration = Configuration()
    configuration.host = "http://127.0.0.1:1"
    client = RestKube(Connection(configuration, lambda *_: None, lambda _: None))
    with pytest.raises(KubeError, match="did not answer") as refused:
        await client.get(LEASE)
    await client.close()
    assert refused.value.status == 0
