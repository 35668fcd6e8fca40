"""One shape for the requests of three dialects, so that a rule is written once and matches all of them."""

from dataclasses import dataclass

Json = dict[str, object]


_TEXT_PARTS = ("text", "input_text", "output_text")


class BadRequestError(ValueError):
    """The request body is not what its dialect says; the message names the field."""


@dataclass(frozen=True)
class CalledTool:
    """A tool call in the history."""

    id: str
    name: str


@dataclass(frozen=True)
class Message:
    """One message; `role` is system, user, assistant or tool. A tool message carries the tool's `name`."""

    role: str
    text: str
    name: str = ""
    calls: tuple[CalledTool, ...] = ()


@dataclass(frozen=True)
class Conversation:
    """What a client asks for, independent of its dialect."""

    model: str
    stream: bool
    messages: tuple[Message, ...]
    tools: tuple[str, ...] = ()
    include_usage: bool = True

    def texts(self, role: str) -> list[str]:
        """Texts of one role, oldest first."""
        return [message.text for message in self.messages if message.role == role]

    @property
    def last_user(self) -> str:
        """Newest user text that says something."""
        return next((text for text in reversed(self.texts("user")) if text.strip()), "")

    @property
    def turn(self) -> int:
        """1 for the first answer, one more for each answer already given."""
        return 1 + len(self.texts("assistant"))

    @property
    def fresh_results(self) -> tuple[Message, ...]:
        """Tool results that no answer has followed yet."""
        fresh: list[Message] = []
        for message in reversed(self.messages):
            if message.role == "assistant":
                break
            if message.role == "tool":
                fresh.append(message)
        return tuple(reversed(fresh))

    @property
    def called(self) -> frozenset[str]:
        """Names of all tools called so far."""
        return frozenset(call.name for message in self.messages for call in message.calls)


def as_object(value: object, field: str) -> Json:
    """Return a JSON object; BadRequestError otherwise."""
    if not isinstance(value, dict):
        raise BadRequestError(f"{field}: expected an object")
    return value


def as_list(value: object, field: str) -> list[object]:
    """Return a JSON array (absent = empty); BadRequestError otherwise."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise BadRequestError(f"{field}: expected an array")
    return value


def as_text(content: object) -> str:
    """Text of a content field that is a string, null or a list of typed parts."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    parts = [part for part in as_list(content, "content") if isinstance(part, dict)]
    return "\n".join(
        str(part["text"]) for part in parts if part.get("type", "text") in _TEXT_PARTS and "text" in part
    )


def tool_names(tools: object) -> tuple[str, ...]:
    """Names in a `tools` list of `{type: function, function: {name}}` or `{name}` entries."""
    names = []
    for entry in as_list(tools, "tools"):
        tool = as_object(entry, "tools[]")
        inner = tool.get("function", tool)
        names.append(str(as_object(inner, "tools[].function").get("name", "")))
    return tuple(names)
