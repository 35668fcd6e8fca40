"""Typed keys under which the applications keep what handlers need."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from cadre_controller.auth.identity import Principal
    from cadre_controller.routes.table import Route
    from cadre_controller.runtime import Runtime

RUNTIME: web.AppKey["Runtime"] = web.AppKey("RUNTIME")
ROUTES: web.AppKey["Sequence[Route]"] = web.AppKey("ROUTES")
PRINCIPAL: web.RequestKey["Principal"] = web.RequestKey("PRINCIPAL")
