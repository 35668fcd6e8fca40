"""A policy's own recognisers, judged by the engine that will run them: a pattern that RE2 refuses must stop
the chart and not, later, the guard.
"""

from collections.abc import Iterator

from cadre_api.protocol.guard import GuardRecognizer
from cadre_api.v1alpha1 import Policy, Recognizer
from cadre_core.model import Problem
from cadre_core.resources import Resources
from cadre_detect.rules import check_recognizer


def recognizer_problems(resources: Resources) -> tuple[Problem, ...]:
    """What is wrong with the recognisers of all policies."""
    return tuple(_problems(resources))


def _problems(resources: Resources) -> Iterator[Problem]:
    for policy in resources.of(Policy).values():
        stated = policy.spec.guard.recognizers if policy.spec.guard is not None else ()
        for index, each in enumerate(stated):
            wrong = check_recognizer(_as_run(each))
            if wrong:
                field = f"spec.guard.recognizers[{index}].pattern"
                yield resources.problem(policy, field, "RecognizerInvalid", wrong, "correct the recognizer")


def _as_run(stated: Recognizer) -> GuardRecognizer:
    return GuardRecognizer(
        name=stated.name,
        entity=stated.entity,
        pattern=stated.pattern or "",
        terms=stated.terms or (),
        checksum=stated.checksum.value if stated.checksum else "",
        context=stated.context,
        score=stated.score_percent / 100,
    )
