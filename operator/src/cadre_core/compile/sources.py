"""Where tools come from (a server, a builtin, an extension of goose), and whether a named one exists."""

from cadre_api.v1alpha1 import ModelProvider, ObjectRef, ProfileTool, Purpose, Resource, ToolServer
from cadre_api.v1alpha1.policy import PolicyResource
from cadre_core.compile.draft import Draft, reference_key
from cadre_core.load.errors import did_you_mean
from cadre_core.mesh import BUILTIN_TOOLS


def source_key(owner: Resource, server: ObjectRef | None, builtin: str | None, extension: str | None) -> str:
    """Return the key of a source of tools: `namespace/name`, `builtin:x` or `goose:x`."""
    if server is not None:
        return reference_key(owner, server)
    return f"builtin:{builtin}" if builtin else f"goose:{extension}"


def tool_source(owner: Resource, tool: ProfileTool | PolicyResource) -> str:
    """Return the source of a profile's tool entry or a policy's resource."""
    return source_key(owner, tool.tool_server_ref, tool.builtin, tool.goose_extension)


def check_source(
    draft: Draft, owner: Resource, tool: ProfileTool | PolicyResource, path: str, names: dict[str, str]
) -> None:
    """Refuse a missing source and tools it does not have; `names` maps field path to tool name."""
    known = _known_tools(draft, owner, tool, path)
    for where, name in names.items() if known is not None else ():
        if name not in (known or ()):
            message = f"{tool_source(owner, tool)} pins no tool {name}"
            draft.refuse(owner, where, "UnknownTool", message, did_you_mean(name, known or ()))


def _known_tools(
    draft: Draft, owner: Resource, tool: ProfileTool | PolicyResource, path: str
) -> tuple[str, ...] | None:
    if tool.tool_server_ref is not None:
        key = draft.resolve(owner, tool.tool_server_ref, ToolServer, f"{path}.toolServerRef")
        return None if key is None else tuple(t.name for t in draft.resources.of(ToolServer)[key].spec.tools)
    if tool.builtin is None:
        return None
    if tool.builtin not in BUILTIN_TOOLS:
        message = f"builtin {tool.builtin} has no tools in this version"
        draft.refuse(owner, f"{path}.builtin", "NotAvailable", message, f"use {', '.join(BUILTIN_TOOLS)}")
        return None
    return tuple(t.name for t in BUILTIN_TOOLS[tool.builtin])


def check_model(
    draft: Draft, owner: Resource, provider: str, model: str, path: str, purpose: Purpose | None = None
) -> None:
    """Refuse a model that the provider does not list, or does not offer for the purpose."""
    listed = {m.name: m for m in draft.resources.of(ModelProvider)[provider].spec.models}
    if model not in listed:
        message = f"{provider} lists no model {model}"
        draft.refuse(owner, path, "UnknownModel", message, did_you_mean(model, list(listed)))
        return
    purposes = listed[model].purposes
    if purpose is not None and purposes is not None and purpose not in purposes:
        message = f"{provider} offers {model} for {', '.join(purposes)} only"
        draft.refuse(owner, path, "PurposeNotOffered", message, f"add {purpose.value} to its purposes")
