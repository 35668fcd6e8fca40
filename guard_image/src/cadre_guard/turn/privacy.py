"""What an agent may ask of its own guard: to look at a text, and to mask it. Policy decides about it as about
any tool; it is done here, because a text must not leave to be masked.
"""

from collections.abc import Mapping

from cadre_api.protocol.guard import AgentBundle, BundleTool
from cadre_core.mesh import DETECT, GUARD
from cadre_detect.jsonwalk import Json
from cadre_guard.masking.masker import Masker
from cadre_guard.turn.turn import Turn

_DETECT_ONLY = "Detect"


def privacy_tools(bundle: AgentBundle) -> dict[str, BundleTool]:
    """The tools of this kind that the agent's profile has, by what they are called in the bundle."""
    return {tool.name: tool for tool in bundle.tools if tool.server == GUARD}


async def run_privacy_tool(
    masker: Masker, turn: Turn, tool: BundleTool, arguments: Mapping[str, object]
) -> dict[str, Json]:
    """The answer of one tool; raises GuardRefusedError when policy blocks the text or nobody can judge it."""
    text = str(arguments.get("text", ""))
    if tool.tool == DETECT.name:
        return {"entities": await masker.findings(text)}
    masked = await masker.mask_text(turn.pairs, text)
    counts: Json = dict(masked.redactions)
    if arguments.get("policy") == _DETECT_ONLY:
        return {"masked": text, "counts": counts}
    return {"masked": masked.document, "counts": counts}
