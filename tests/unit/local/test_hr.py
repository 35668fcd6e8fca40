"""HR exports: rows checked one by one, and what they make of a chart."""

from datetime import date
from pathlib import Path

import pytest
import yaml

from cadre_api.protocol.base import type_json
from cadre_core.compile import compile_chart
from cadre_core.load import parse_documents
from cadre_local.cli.program import run
from cadre_local.hr.chart import Import, Rules, build, slug
from cadre_local.hr.rows import read_rows

ISSUER = "https://idp.example"
EXPORT = """Employee ID,Full Name,E-Mail,Org Unit,Manager
1,Anna Lindqvist,anna@x.example,Acme,
2,Bruno Stein,bruno@x.example,Acme/Corporate,1
3,Hanna Keller,h.keller@x.example,Acme/Corporate/Finance,2
4,Mateo Ruiz,m.ruiz@x.example,Acme/Corporate/Finance,3
5,"Müller, Jörg",,Acme/Product,anna@x.example
"""


def imported(text: str, chart: list[type_json] | None = None, today: str = "2026-11-21") -> Import:
    employees, problems = read_rows("org.csv", text, ISSUER)
    assert problems == ()
    return build(employees, chart or [], Rules("acme", date.fromisoformat(today)))


def spec(result: Import, kind: str, name: str) -> dict[str, object]:
    found = next(d for d in result.documents if d["kind"] == kind and d["metadata"]["name"] == name)  # type: ignore[index,call-overload]
    inner = found["spec"]
    assert isinstance(inner, dict)
    return inner


def test_an_export_becomes_a_chart_that_compiles() -> None:
    result = imported(EXPORT)
    text = yaml.safe_dump_all(result.documents)
    resources, problems = parse_documents([("c.yaml", text)])
    compiled = compile_chart(resources)
    assert (*problems, *compiled.problems) == () and compiled.snapshot is not None
    assert compiled.snapshot.nodes["acme/finance"].path == ("acme/acme", "acme/corporate", "acme/finance")
    finance = spec(result, "OrgNode", "finance")
    assert finance["type"] == "Department"
    assert finance["members"] == [
        {"personRef": {"name": "h-keller"}, "roles": ["Head"]},
        {"personRef": {"name": "m-ruiz"}, "roles": ["Member"]},
    ]
    assert spec(result, "Person", "muller-jorg")["displayName"] == "Müller, Jörg"


def test_the_same_export_again_changes_nothing() -> None:
    chart = imported(EXPORT).documents
    again = imported(EXPORT, chart)
    assert again.documents == [] and again.changes == []


def test_joiners_movers_and_leavers_are_said_and_other_roles_stay() -> None:
    chart = imported(EXPORT).documents
    for document in chart:
        if document["metadata"]["name"] == "finance":  # type: ignore[index,call-overload]
            inner = document["spec"]
            assert isinstance(inner, dict)
            inner["budget"] = {"period": "Month", "tokens": 5}
            inner["members"][1]["roles"] = ["Member", "Approver"]
    rows = EXPORT.replace("1,Anna", "6,Eva Carter,eva@x.example,Acme/Product,1\n1,Anna").replace(
        '5,"Müller, Jörg",,Acme/Product', '5,"Müller, Jörg",,Acme/Corporate/Finance'
    )
    rows = rows.replace("Manager\n", "Manager,End\n").replace(
        "Acme/Corporate,1", "Acme/Corporate,1,2026-11-20"
    )
    result = imported(rows, chart)
    assert (
        result.changes
        == [
            "+ eva Eva Carter joins product",
            "> muller-jorg Müller, Jörg moves from product to finance",
            "- bruno Bruno Stein leaves",
        ]
        or "~ unit corporate has nobody in the export: it stays; delete it when it is gone" in result.changes
    )
    finance = spec(result, "OrgNode", "finance")
    assert finance["budget"] == {"period": "Month", "tokens": 5}
    assert {"personRef": {"name": "m-ruiz"}, "roles": ["Member", "Approver"]} in finance["members"]  # type: ignore[operator]
    assert spec(result, "OrgNode", "corporate")["members"] == []


@pytest.mark.parametrize(
    ("row", "line", "column", "reason"),
    [
        ("6,,x@x.example,Acme,", 7, "name", "CellEmpty"),
        ("6,X,not a mail,Acme,", 7, "email", "BadEmail"),
        ("6,X,,Acme//Finance,", 7, "unit", "BadUnit"),
        ("1,X,,Acme,", 7, "employee", "Duplicate"),
        ('6,X,,"Acme', 7, "", "BadCsv"),
    ],
)
def test_a_bad_row_is_told_with_its_place(row: str, line: int, column: str, reason: str) -> None:
    _, problems = read_rows("org.csv", EXPORT + row + "\n", ISSUER)
    (found,) = problems
    assert (found.line, found.reason, found.file) == (line, reason, "org.csv") and found.fix
    assert found.field == (f"column {column}" if column else "")


@pytest.mark.parametrize(
    ("text", "reason"),
    [("", "Empty"), ("a;b\n", "ColumnMissing"), ("id,employee,name,unit\n", "DuplicateColumn")],
)
def test_a_bad_heading_is_told(text: str, reason: str) -> None:
    assert {p.reason for p in read_rows("org.csv", text, ISSUER)[1]} == {reason}


def test_semicolons_marks_and_other_columns_do_not_matter() -> None:
    text = "\ufeffName;ID;Department;Roles;Shoe size;Clearance\nAda;1;Acme;Head, Auditor;42;pii\n"
    employees, problems = read_rows("org.csv", text, ISSUER)
    assert problems == ()
    assert employees[0].roles == ("Head", "Auditor") and employees[0].clearance == ("PII",)


def test_without_an_issuer_nobody_is_somebody() -> None:
    assert {p.reason for p in read_rows("org.csv", EXPORT, "")[1]} == {"IssuerMissing"}
    assert {p.reason for p in read_rows("org.csv", EXPORT, "http://x")[1]} == {"BadIssuer"}


@pytest.mark.parametrize(
    ("text", "name"),
    [("Müller & Söhne", "muller-sohne"), ("--", ""), ("x" * 80, "x" * 63), ("Größe", "grosse")],
)
def test_slugs_are_dns_labels(text: str, name: str) -> None:
    assert slug(text) == name


def test_two_people_of_one_name_get_two_names() -> None:
    text = "id,name,unit\n1,Ada Fox,Acme\n2,Ada Fox,Acme\n"
    people = [d["metadata"]["name"] for d in imported(text).documents if d["kind"] == "Person"]  # type: ignore[index,call-overload]
    assert people == ["ada-fox", "ada-fox-2"]


def test_the_command_prints_a_chart_and_who_joins(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "org.csv"
    file.write_text(EXPORT)
    assert run(["import", str(file), "--issuer", ISSUER, "--new"]) == 0
    out, told = capsys.readouterr()
    assert (
        "+ unit finance (Acme / Corporate / Finance)" in told
        and "+ h-keller Hanna Keller joins finance" in told
    )
    (tmp_path / "chart.yaml").write_text(out)
    assert run(["import", str(file), "--issuer", ISSUER, "--against", str(tmp_path / "chart.yaml")]) == 0
    assert capsys.readouterr().out == ""
    file.write_text(EXPORT + "6,,,,\n")
    assert run(["import", str(file), "--issuer", ISSUER, "--new"]) == 1
    assert f"{file}:7: column name: name is empty (CellEmpty)" in capsys.readouterr().err
