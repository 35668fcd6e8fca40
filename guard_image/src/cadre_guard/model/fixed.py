"""Texts that the controller itself wrote into the bundle: an agent that repeats them says nothing new."""

from collections.abc import Iterable, Iterator, Mapping

from cadre_api.protocol.guard import BundleTool


def texts_of(tools: Iterable[BundleTool]) -> frozenset[str]:
    """Descriptions of the tools and every text in their schemas."""
    found: set[str] = set()
    for tool in tools:
        found.add(tool.description)
        found.update(_leaves(tool.input_schema))
    return frozenset(found)


def _leaves(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _leaves(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _leaves(item)
