"""Which rule answers a request: pure, so that a scenario plays the same every time."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cadre_scripted.conversation import Conversation
from cadre_scripted.scenario import Capture, Rule, Scenario, When


@dataclass(frozen=True)
class Match:
    """A rule and what it captured."""

    rule: Rule
    captured: Mapping[str, str]


def find_rule(scenario: Scenario, asked: Conversation, used: Mapping[str, int]) -> Match | None:
    """Return the first rule that holds and is not used up; `used` counts answers by rule name."""
    for rule in scenario.rules:
        if rule.times and used.get(rule.name, 0) >= rule.times:
            continue
        if not _holds(rule.when, asked):
            continue
        captured = _capture_all(rule.when.captures, asked)
        if captured is not None:
            return Match(rule, captured | _builtin(asked))
    return None


def explain_no_match(scenario: Scenario, asked: Conversation) -> str:
    """Say what came, so that whoever writes the scenario sees which rule is missing."""
    last = asked.messages[-1] if asked.messages else None
    shown = f"{last.role} {last.name}".strip() + f": {last.text[:300]!r}" if last else "none"
    return (
        f"no rule matched in scenario {scenario.name!r}: last message is {shown}; turn {asked.turn}; "
        f"called {sorted(asked.called)}; offered {sorted(asked.tools)}"
    )


def _builtin(asked: Conversation) -> dict[str, str]:
    results = asked.fresh_results
    return {
        "user": asked.last_user,
        "toolResult": results[-1].text if results else "",
        "turn": str(asked.turn),
    }


def _holds(when: When, asked: Conversation) -> bool:
    return _texts_hold(when, asked) and _tools_hold(when, asked) and _shape_holds(when, asked)


def _texts_hold(when: When, asked: Conversation) -> bool:
    results = asked.fresh_results
    return (
        _contains(asked.texts("system"), when.system)
        and _contains([asked.last_user], when.user)
        and _contains((message.text for message in asked.messages), when.any_message)
        and _contains((message.text for message in results), when.tool_result)
        and (not when.tool_result_of or when.tool_result_of in {message.name for message in results})
    )


def _tools_hold(when: When, asked: Conversation) -> bool:
    offered = frozenset(asked.tools)
    return (
        offered.issuperset(when.offers)
        and offered.isdisjoint(when.lacks)
        and asked.called.issuperset(when.called)
        and asked.called.isdisjoint(when.not_called)
    )


def _shape_holds(when: When, asked: Conversation) -> bool:
    last_role = asked.messages[-1].role if asked.messages else ""
    return (
        when.last_role in ("", last_role)
        and when.turn in (None, asked.turn)
        and when.stream in (None, asked.stream)
        and when.model in ("", asked.model)
    )


def _contains(texts: Iterable[str], wanted: tuple[str, ...]) -> bool:
    if not wanted:
        return True
    joined = "\n".join(texts).casefold()
    return all(part.casefold() in joined for part in wanted)


def _capture_all(captures: tuple[Capture, ...], asked: Conversation) -> dict[str, str] | None:
    found: dict[str, str] = {}
    for capture in captures:
        value = _capture(capture, asked)
        if value is None:
            return None
        found[capture.name] = value
    return found


def _capture(capture: Capture, asked: Conversation) -> str | None:
    role = "tool" if capture.source == "toolResult" else capture.source
    for message in reversed(asked.messages):
        if role not in ("any", message.role):
            continue
        hit = capture.pattern.search(message.text)
        if hit:
            return hit[1] if capture.pattern.groups else hit[0]
    return None
