"""Tool intents."""

from cadre_api.protocol.tasks import ApprovalView
from cadre_controller.services.models import HeldTask, Intent, ToolResult


class IntentService:
    async def begin(self, held: HeldTask, tool: str, arguments_hash: str, tool_call_id: str) -> Intent:
        """A repeated `tool_call_id` of one attempt is the same call; else the next ordinal of (tool, hash)."""
    async def record(self, intent: Intent, result: ToolResult) -> None:
        """Once; a second has no effect."""
    async def wait(self, intent: Intent, wait_seconds: float) -> ToolResult | None: ...
    async def abandon(self, intent: Intent) -> None:
        """The call certainly never reached the server: forget the intent."""
    async def outcome_unknown(self, held: HeldTask, intent: Intent) -> ApprovalView:
        """The task becomes OutcomeUnknown and the node's head is asked; the lease ends."""
