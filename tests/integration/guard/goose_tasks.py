"""What an agent is asked to do with private values, and what must come of it, whether it is masked or not.

Each task is a prompt, what the model answers turn by turn (it copies what it sees, as a model does, and never
knows whether that is a value or a token), what the tools must receive, and what the requester must read.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.integration.guard.desk import CUSTOMERS, TOOLS

Json = dict[str, object]

NAME, MAIL, PHONE = "Hanna Keller", "hanna.keller@acme.example", "+49 30 23125 014"
IBAN, CARD, IP = "DE89370400440532013000", "5555 5555 5555 4444", "192.0.2.44"
FOREIGN = "Zoë Müller-Østergård"
JON, ZOE = CUSTOMERS["C-100"], CUSTOMERS["C-200"]
SECRET = (
    NAME,
    MAIL,
    PHONE,
    IBAN,
    CARD,
    IP,
    FOREIGN,
    *(str(value) for each in (JON, ZOE) for value in each.values()),
)
"""What no model may see of a masked agent."""


@dataclass(frozen=True)
class Turn:
    """One answer of the model: what it reads from where, says, and calls."""

    said: str = ""
    calls: tuple[tuple[str, object], ...] = ()
    reads: Mapping[str, str] = field(default_factory=dict)
    """Name -> pattern, looked for in the newest message first."""
    chunk: Mapping[str, int] = field(default_factory=lambda: {"characters": 7})


@dataclass(frozen=True)
class Task:
    """`values` are those of SECRET that the task has to do with."""

    name: str
    prompt: str
    turns: tuple[Turn, ...]
    received: tuple[tuple[str, Json], ...]
    result: str
    values: tuple[str, ...]


def _field(name: str) -> str:
    return rf'"{name}": "([^"]+)"'


def _asked(*names: str) -> dict[str, str]:
    return {name: rf"{name}=\[([^\]]+)\]" for name in names}


_SENT = r"sent to ([^\s\"\\]+)"

TASKS = (
    Task(
        "argument",
        f"Write to mail=[{MAIL}].",
        (
            Turn(calls=(("send", {"to": "{{mail}}"}),), reads=_asked("mail")),
            Turn("Written to {{to}}.", reads={"to": _SENT}),
        ),
        (("send", {"to": MAIL}),),
        f"Written to {MAIL}.",
        (MAIL,),
    ),
    Task(
        "inside-a-text",
        f"Tell mail=[{MAIL}] that who=[{NAME}] pays from iban=[{IBAN}].",
        (
            Turn(
                calls=(
                    (
                        "send",
                        {
                            "to": "{{mail}}",
                            "subject": "For {{who}}",
                            "body": 'Dear {{who}},\n\t"{{iban}}" is yours\\ours, {{who}}.',
                        },
                    ),
                ),
                reads=_asked("mail", "who", "iban"),
            ),
            Turn("{{who}} was told about {{iban}}.", reads=_asked("who", "iban")),
        ),
        (
            (
                "send",
                {
                    "to": MAIL,
                    "subject": f"For {NAME}",
                    "body": f'Dear {NAME},\n\t"{IBAN}" is yours\\ours, {NAME}.',
                },
            ),
        ),
        f"{NAME} was told about {IBAN}.",
        (MAIL, NAME, IBAN),
    ),
    Task(
        "nested",
        f"Save who=[{NAME}] with mail=[{MAIL}] and phone=[{PHONE}].",
        (
            Turn(
                "I save it.",
                (
                    (
                        "save",
                        {
                            "record": {
                                "people": [
                                    {
                                        "name": "{{who}}",
                                        "reach": {"mails": ["{{mail}}", "office"], "phone": "{{phone}}"},
                                    }
                                ],
                                "count": 1,
                                "draft": False,
                                "note": None,
                            }
                        },
                    ),
                ),
                _asked("who", "mail", "phone"),
            ),
            Turn("Saved {{mail}}.", reads=_asked("mail")),
        ),
        (
            (
                "save",
                {
                    "record": {
                        "people": [{"name": NAME, "reach": {"mails": [MAIL, "office"], "phone": PHONE}}],
                        "count": 1,
                        "draft": False,
                        "note": None,
                    }
                },
            ),
        ),
        f"Saved {MAIL}.",
        (NAME, MAIL, PHONE),
    ),
    Task(
        "as-a-key",
        f"Count one letter for mail=[{MAIL}].",
        (
            Turn(
                calls=(("save", '{"ref": "{{ref}}", "record": {"letters": {"{{mail}}": 1}}}'),),
                reads=_asked("mail"),
            ),
            Turn("Counted."),
        ),
        (("save", {"record": {"letters": {MAIL: 1}}}),),
        "Counted.",
        (MAIL,),
    ),
    Task(
        "unicode",
        f"Greet who=[{FOREIGN}] at mail=[{ZOE['mail']}] 🏠.",
        (
            Turn(
                calls=(("send", {"to": "{{mail}}", "body": "Grüße, {{who}} 🏠 „{{who}}“"}),),
                reads=_asked("who", "mail"),
                chunk={"characters": 1, "bytes": 3},
            ),
            Turn("Gegrüßt: {{who}} 🏠", reads=_asked("who"), chunk={"characters": 2, "bytes": 1}),
        ),
        (("send", {"to": str(ZOE["mail"]), "body": f"Grüße, {FOREIGN} 🏠 „{FOREIGN}“"}),),
        f"Gegrüßt: {FOREIGN} 🏠",
        (FOREIGN, str(ZOE["mail"])),
    ),
    Task(
        "several-calls-at-once",
        f"Write to mail=[{MAIL}], and save phone=[{PHONE}].",
        (
            Turn(
                "Both at once.",
                (
                    ("send", {"to": "{{mail}}"}),
                    ("save", {"record": {"phone": "{{phone}}"}}),
                    ("send", {"to": "{{mail}}", "subject": "again"}),
                ),
                _asked("mail", "phone"),
            ),
            Turn("Three calls for {{mail}}.", reads=_asked("mail")),
        ),
        (
            ("send", {"to": MAIL}),
            ("save", {"record": {"phone": PHONE}}),
            ("send", {"to": MAIL, "subject": "again"}),
        ),
        f"Three calls for {MAIL}.",
        (MAIL, PHONE),
    ),
    Task(
        "what-a-tool-says",
        "Who is customer C-100?",
        (
            Turn(calls=(("find", {"customer": "C-100"}),)),
            Turn(
                "{{name}}, {{mail}}, {{iban}}",
                reads={name: _field(name) for name in ("name", "mail", "iban")},
            ),
        ),
        (("find", {"customer": "C-100"}),),
        f"{JON['name']}, {JON['mail']}, {JON['iban']}",
        tuple(map(str, JON.values())),
    ),
    Task(
        "from-tool-to-tool",
        "Write to customer C-200, then save what you did.",
        (
            Turn(calls=(("find", {"customer": "C-200"}),)),
            Turn(
                calls=(("send", {"to": "{{mail}}", "body": "{{name}}"}),),
                reads={name: _field(name) for name in ("name", "mail")},
            ),
            Turn(calls=(("save", {"record": {"wrote": "{{to}}"}}),), reads={"to": _SENT}),
            Turn("{{to}} has mail.", reads={"to": _SENT}),
        ),
        (
            ("find", {"customer": "C-200"}),
            ("send", {"to": str(ZOE["mail"]), "body": str(ZOE["name"])}),
            ("save", {"record": {"wrote": str(ZOE["mail"])}}),
        ),
        f"{ZOE['mail']} has mail.",
        tuple(map(str, ZOE.values())),
    ),
    Task(
        "a-tool-that-fails",
        f"Write to mail=[{MAIL}], whatever it takes.",
        (
            Turn(calls=(("refuse", {"to": "{{mail}}"}),), reads=_asked("mail")),
            Turn("It says there is no mailbox for {{to}}.", reads={"to": r"no mailbox for ([^\s\"\\]+)"}),
        ),
        (("refuse", {"to": MAIL}),),
        f"It says there is no mailbox for {MAIL}.",
        (MAIL,),
    ),
    Task(
        "a-long-answer",
        "Who is in the log?",
        (
            Turn(calls=(("export", {}),)),
            Turn(
                "{{first}} and {{second}}",
                reads={"first": r"([^\n]+) <\S+>", "second": r"<\S+>\n.*?\n([^\n]+) <\S+>\n"},
            ),
        ),
        (("export", {}),),
        f"{JON['name']} and {ZOE['name']}",
        (*map(str, list(JON.values())[:2]), *map(str, list(ZOE.values())[:2])),
    ),
    Task(
        "json-in-a-text",
        f"Send who=[{NAME}] as JSON to mail=[{MAIL}].",
        (
            Turn(
                calls=(("send", {"to": "{{mail}}", "body": '{"name": "{{who}}", "in": ["{{mail}}"]}'}),),
                reads=_asked("who", "mail"),
            ),
            Turn("Sent."),
        ),
        (("send", {"to": MAIL, "body": f'{{"name": "{NAME}", "in": ["{MAIL}"]}}'}),),
        "Sent.",
        (NAME, MAIL),
    ),
    Task(
        "many-kinds",
        f"Note iban=[{IBAN}], card=[{CARD}], phone=[{PHONE}] and ip=[{IP}].",
        (
            Turn(
                calls=(("save", {"record": {"all": "{{iban}}|{{card}}|{{phone}}|{{ip}}"}}),),
                reads=_asked("iban", "card", "phone", "ip"),
                chunk={"characters": 40, "bytes": 11},
            ),
            Turn(
                "Noted:\n\n| a | b |\n|---|---|\n| `{{iban}}` | **{{phone}}** |",
                reads=_asked("iban", "phone"),
            ),
        ),
        (("save", {"record": {"all": f"{IBAN}|{CARD}|{PHONE}|{IP}"}}),),
        f"Noted:\n\n| a | b |\n|---|---|\n| `{IBAN}` | **{PHONE}** |",
        (IBAN, CARD, PHONE, IP),
    ),
    Task(
        "the-same-value-thrice",
        f"Check mail=[{MAIL}] against other=[{MAIL}] and upper=[{MAIL.upper()}].",
        (
            Turn(
                calls=(("save", {"record": {"same": ["{{mail}}", "{{other}}"], "upper": "{{upper}}"}}),),
                reads=_asked("mail", "other", "upper"),
            ),
            Turn("{{mail}} {{other}} {{upper}}", reads=_asked("mail", "other", "upper")),
        ),
        (("save", {"record": {"same": [MAIL, MAIL], "upper": MAIL.upper()}}),),
        f"{MAIL} {MAIL} {MAIL.upper()}",
        (MAIL,),
    ),
    Task(
        "ask-the-guard",
        f"Mask what you know of who=[{NAME}], mail=[{MAIL}].",
        (
            Turn(
                calls=(("privacy_process", '{"text": "{{who}} has {{mail}} now"}'),),
                reads=_asked("who", "mail"),
            ),
            Turn("Masked: {{masked}}", reads={"masked": _field("masked")}),
        ),
        (),
        f"Masked: {NAME} has {MAIL} now",
        (NAME, MAIL),
    ),
    Task(
        "only-talk",
        f"Say hello to who=[{NAME}].",
        (Turn("Hello {{who}}! [mail](mailto:x)", reads=_asked("who"), chunk={"characters": 3, "bytes": 2}),),
        (),
        f"Hello {NAME}! [mail](mailto:x)",
        (NAME,),
    ),
)

FEW = ("unicode", "several-calls-at-once", "from-tool-to-tool", "ask-the-guard")
"""Those that stand for all where time is short."""


def scenario() -> Json:
    """The model's part of all tasks."""
    rules: list[Json] = [
        {"name": "title", "when": {"system": "Generate a short title"}, "reply": {"text": "A task"}}
    ]
    for task in TASKS:
        for number, turn in enumerate(task.turns, 1):
            rules.append(_rule(task, number, turn))
    return {"format": "cadre-scripted/1", "name": "tasks", "defaults": {"think": "0ms"}, "rules": rules}


def _rule(task: Task, number: int, turn: Turn) -> Json:
    earlier = {_seen(tool) for before in task.turns[: number - 1] for tool, _ in before.calls}
    later = {_seen(tool) for after in task.turns[number - 1 :] for tool, _ in after.calls}
    when: Json = {
        "anyMessage": f"ref=[{task.name}/",
        "called": sorted(earlier),
        "notCalled": sorted(later),
        "capture": {"ref": r"ref=\[([^\]]+)\]", **turn.reads},
    }
    reply: Json = {"chunk": dict(turn.chunk), "toolCalls": [_call(*call) for call in turn.calls]}
    reply |= {"text": turn.said} if turn.said else {}
    return {"name": f"{task.name} {number}", "when": when, "reply": reply}


def _call(tool: str, given: object) -> Json:
    name = _seen(tool)
    if isinstance(given, str):
        return {"name": name, "rawArguments": given}
    assert isinstance(given, dict)
    return {"name": name, "arguments": {"ref": "{{ref}}", **given}}


def _seen(tool: str) -> str:
    """A tool's name as the model sees it: one of the desk, or of the guard itself."""
    return f"gw__desk_{tool}" if tool in TOOLS else f"gw__{tool}"
