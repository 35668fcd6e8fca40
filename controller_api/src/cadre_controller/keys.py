"""Typed keys under which the applications keep what handlers need."""

from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from cadre_controller.auth.identity import Principal
    from cadre_controller.runtime import Runtime

RUNTIME: web.AppKey["Runtime"] = web.AppKey("RUNTIME")
PRINCIPAL: web.RequestKey["Principal"] = web.RequestKey("PRINCIPAL")
