"""What the agent is told: the task with its context, restored within clearance, and the house rules."""

from collections.abc import Iterator

from cadre_api.protocol.guard import AgentBundle, Lease

_TOKENS = (
    "Some words in your input stand in for protected values: a kind in capitals, an x, then 17 small letters "
    "and digits, as in PERSONx0… or IBANx0…. Copy such a word letter by letter wherever you need the value; "
    "never alter, shorten, translate or explain it."
)


def system_text(bundle: AgentBundle) -> str:
    """Instructions of the profile, hints and the rule about tokens."""
    parts = [
        f"You work as: {bundle.title}" if bundle.title else "",
        bundle.instructions,
        *bundle.hints,
        _TOKENS,
    ]
    return "\n\n".join(part for part in parts if part)


def masked_texts(lease: Lease) -> Iterator[str]:
    """Every text of a lease that may hold tokens."""
    yield lease.prompt
    yield from lease.context.values()
    for shard in lease.shards:
        yield shard.text


def prompt_text(lease: Lease) -> str:
    """The user's part of the turn, as masked as it came."""
    parts = [f"Earlier, {shard.author} wrote:\n{shard.text}" for shard in lease.shards]
    parts += [f"{name}: {value}" for name, value in lease.context.items()]
    return "\n\n".join([*parts, lease.prompt])
