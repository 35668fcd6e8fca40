"""A stand-alone guard as users start it, in front of the scripted model or of a server of the test's own."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml

SCENARIO = r"""
format: cadre-scripted/1
name: guarded
model: scripted
defaults: {think: 0ms, chunk: {characters: 4, delay: 0ms}}
rules:
  - name: invents
    when: {user: invent, capture: {mail: '(EMAILx\w{17})'}}
    reply:
      text: "Ask Jonathan Whitfield, jon.whitfield@acme.example, or {{mail}}."
      toolCalls: [{name: mail_send, arguments: {to: new.person@acme.example, cc: "{{mail}}"}}]
  - name: fails
    when: {user: break down}
    reply: {fault: {status: 429, body: '{"error": {"message": "too many of jon.whitfield@acme.example"}}'}}
  - name: garbles
    when: {user: garble}
    reply: {fault: {garbage: "data: no JSON, jon.whitfield@acme.example"}}
  - name: breaks off
    when: {user: cut short}
    reply: {text: "So it begins, and then", fault: {cutAfter: 3}}
  - name: sends
    when: {offers: [mail_send], capture: {mail: '(EMAILx\w{17})', iban: '(IBANx\w{17})'}}
    reply:
      text: "Sent to {{mail}} about {{iban}}."
      toolCalls: [{name: mail_send, arguments: {to: "{{mail}}"}}]
  - name: says
    when: {capture: {mail: '(EMAILx\w{17})', iban: '(IBANx\w{17})'}}
    reply: {text: "Sent to {{mail}} about {{iban}}."}
  - name: anything
    when: {}
    reply: {text: "Nothing to say."}
"""


@dataclass
class Standalone:
    """A running guard."""

    url: str
    pid: int = 0
    log: list[str] = field(default_factory=list)

    def logged(self, message: str) -> list[dict[str, object]]:
        """Lines of its log with this message."""
        lines: list[dict[str, object]] = [json.loads(line) for line in self.log]
        return [line for line in lines if line["message"] == message]


def write_guard_file(folder: Path, upstream: str, **settings: object) -> Path:
    """A guard.yaml that sends every format to one server."""
    versions = {"openai": "/v1", "anthropic": "/v1", "ollama": "", "gemini": "/v1beta"}
    upstreams = {name: {"baseURL": upstream + path} for name, path in versions.items()}
    document = {"listen": "127.0.0.1:0", "upstreams": upstreams, **settings}
    file = folder / "guard.yaml"
    file.write_text(yaml.safe_dump(document))
    return file


@contextmanager
def standalone(file: Path) -> Iterator[Standalone]:
    """`python -m cadre_guard.standalone -f FILE`, listening; ended by SIGTERM."""
    command = [sys.executable, "-m", "cadre_guard.standalone", "-f", str(file)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    reader: threading.Thread | None = None
    try:
        first = process.stderr.readline()
        assert '"listening"' in first, first + process.stderr.read()
        guard = Standalone("http://" + json.loads(first)["address"], process.pid)
        reader = threading.Thread(target=guard.log.extend, args=(process.stderr,), daemon=True)
        reader.start()
        yield guard
    finally:
        process.terminate()
        assert process.wait(60) == 0
        if reader is not None:
            reader.join(60)
        process.stderr.close()
