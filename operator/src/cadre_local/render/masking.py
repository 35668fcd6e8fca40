"""Findings in a text, in colour: what is there, what becomes of it."""

from collections.abc import Sequence

from rich.text import Text

from cadre_detect import Finding

COLOURS = {"PII": "yellow", "FINANCIAL": "magenta", "CREDENTIALS": "bold red", "PHI": "red"}


def highlighted(text: str, findings: Sequence[Finding]) -> Text:
    """The text with its entities coloured by data class."""
    shown = Text(text)
    for finding in findings:
        shown.stylize(COLOURS.get(finding.data_class, "cyan") + " underline", finding.start, finding.end)
    return shown


def masked_diff(text: str, masked: str) -> list[Text]:
    """Changed lines as a coloured diff, unchanged ones plain."""
    before, after = text.splitlines(), masked.splitlines()
    if len(before) != len(after):
        return [Text(f"- {line}", "red") for line in before] + [Text(f"+ {line}", "green") for line in after]
    lines: list[Text] = []
    for old, new in zip(before, after, strict=True):
        lines += [Text(f"  {old}")] if old == new else [Text(f"- {old}", "red"), Text(f"+ {new}", "green")]
    return lines
