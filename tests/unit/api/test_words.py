"""Conditions, reasons and data classes: complete, documented, CamelCase."""

import ast
import inspect
import re
from enum import StrEnum

import pytest

from cadre_api import conditions, data_classes
from cadre_api.data_classes import (
    CLASS_OF_ENTITY,
    DEFAULT_ACTIONS,
    GUARD_MODE_ORDER,
    DataClass,
    GuardMode,
    class_of,
)


def test_every_condition_has_reasons() -> None:
    assert conditions.REASONS.keys() == set(conditions.ConditionType)


@pytest.mark.parametrize("reasons", conditions.REASONS.values(), ids=lambda r: r.__name__)
def test_reasons_are_camel_case(reasons: type[StrEnum]) -> None:
    assert all(re.fullmatch("[A-Z][A-Za-z]+", reason) for reason in reasons)


def test_every_word_is_documented() -> None:
    for module in (conditions, data_classes):
        for node in ast.parse(inspect.getsource(module)).body:
            if isinstance(node, ast.ClassDef):
                kinds = [type(part) for part in node.body[1:]]
                assert kinds == [ast.Assign, ast.Expr] * (len(kinds) // 2), node.name


@pytest.mark.parametrize(
    ("entity", "expected"),
    [
        ("PERSON", DataClass.PII),
        ("EMAIL_ADDRESS", DataClass.PII),
        ("US_SSN", DataClass.PII),
        ("IBAN_CODE", DataClass.FINANCIAL),
        ("CREDIT_CARD", DataClass.FINANCIAL),
        ("PRIVATE_KEY", DataClass.CREDENTIALS),
        ("MEDICAL_LICENSE", DataClass.PHI),
        ("MEDICAL_SOMETHING_NEW", DataClass.PHI),
        ("NEVER_HEARD_OF", DataClass.PII),
    ],
)
def test_classes_of_entities(entity: str, expected: DataClass) -> None:
    assert class_of(entity) is expected


def test_every_class_has_entities_and_a_default_action() -> None:
    assert set(CLASS_OF_ENTITY.values()) == set(DataClass) == DEFAULT_ACTIONS.keys()
    assert DEFAULT_ACTIONS[DataClass.CREDENTIALS] is GuardMode.BLOCK
    assert DEFAULT_ACTIONS[DataClass.PII] is GuardMode.MASK


def test_modes_have_one_order() -> None:
    assert sorted(GUARD_MODE_ORDER) == sorted(GuardMode)
