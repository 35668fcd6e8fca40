"""A chart on disk: which files count, every problem in its place, and what is remembered."""

from pathlib import Path

import pytest

from cadre_local import charts, offline
from cadre_local.errors import CadreError, Exit
from cadre_local.paths import Home
from cadre_local.problems import ChartInvalidError, problem_line

ACME = Path(__file__).parents[3] / "examples" / "01-acme"
BAD = """\
apiVersion: cadre.dev/v1alpha1
kind: OrgNode
metadata: {name: acme, namespace: acme}
spec: {type: Organisation, title: A}
"""


def test_the_example_company_is_accepted() -> None:
    snapshot = offline.check(charts.read_documents(ACME))
    assert snapshot.tenant == "acme"
    assert "acme/finance-1" in snapshot.agents


def test_files_beside_a_chart_are_not_part_of_it(tmp_path: Path) -> None:
    (tmp_path / "org.yaml").write_text(BAD)
    (tmp_path / "values.yaml").write_text("amount: 5\n")
    (tmp_path / "kustomization.yaml").write_text("kind: Kustomization\n")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "x.yaml").write_text(BAD)
    assert [Path(name).name for name, _ in charts.read_documents(tmp_path)] == ["org.yaml"]


def test_every_problem_is_a_line_an_editor_can_jump_to(tmp_path: Path) -> None:
    (tmp_path / "org.yaml").write_text(BAD)
    with pytest.raises(ChartInvalidError) as caught:
        offline.check(charts.read_documents(tmp_path))
    line = problem_line(caught.value.problems[0])
    assert "org.yaml:4: OrgNode acme/acme: spec.type:" in line
    assert "Organization" in line.partition(" → ")[2]


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "ChartNotFound"), (b"x: 1\n", "ChartEmpty"), (b"\xff\xfe", "NotUtf8")]
)
def test_what_cannot_be_read_is_said(tmp_path: Path, content: bytes | None, reason: str) -> None:
    directory = tmp_path / "chart"
    if content is not None:
        directory.mkdir()
        (directory / "a.yaml").write_bytes(content)
    with pytest.raises(CadreError) as caught:
        charts.read_documents(directory)
    assert caught.value.reason == reason
    assert caught.value.fix
    assert caught.value.code in {Exit.USAGE, Exit.REFUSED}


def test_the_last_chart_and_its_place_are_remembered(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.create()
    source = tmp_path / "chart"
    source.mkdir()
    charts.remember(home, source, (("a.yaml", "1"), ("b.yaml", "2")))
    charts.remember(home, source, (("c.yaml", "3"),))
    assert sorted(path.name for path in home.chart.iterdir()) == ["000-c.yaml", "source"]
    assert charts.working_directory(home, None) == source
    assert charts.working_directory(Home(tmp_path / "none"), None) == tmp_path / "none"


def test_a_plan_without_a_controller() -> None:
    snapshot = offline.check(charts.read_documents(ACME))
    added = offline.offline_plan(None, snapshot)["agents"]
    assert isinstance(added, list)
    assert {item["change"] for item in added} == {"Added"}
    same = offline.offline_plan(snapshot, snapshot)["agents"]
    assert isinstance(same, list)
    assert {item["change"] for item in same} == {"Same"}


def test_a_file_without_a_word_is_an_empty_chart(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("\n")
    with pytest.raises(CadreError) as caught:
        charts.read_documents(tmp_path / "empty.yaml")
    assert caught.value.reason == "ChartEmpty"


def test_a_problem_of_a_whole_file_has_no_empty_subject(tmp_path: Path) -> None:
    (tmp_path / "tabs.yaml").write_text("kind: OrgNode\n\tx: 1\n")
    with pytest.raises(ChartInvalidError) as caught:
        offline.check(charts.read_documents(tmp_path / "tabs.yaml"))
    assert ": : " not in problem_line(caught.value.problems[0])
