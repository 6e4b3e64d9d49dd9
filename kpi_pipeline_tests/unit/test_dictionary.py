"""The data dictionary is current, complete, and says nothing that the pipeline can't say."""

import re
from pathlib import Path

import pytest

from kpi_pipeline import catalog, dictionary
from kpi_pipeline.contracts import PUBLISHED, WAREHOUSE
from kpi_pipeline.stages import kpi as stage
from kpi_pipeline.stages.publish import VIEWS

CATALOG = catalog.load()
TEXT = dictionary.render(CATALOG)


def test_the_committed_file_is_current() -> None:
    assert dictionary.is_current(), f"run {dictionary.COMMAND}"


def test_every_kpi_table_column_and_view_is_in_it() -> None:
    lines = TEXT.splitlines()
    for kpi in CATALOG.kpis:
        assert f"`{kpi.id}`" in TEXT
        assert kpi.title in TEXT
        assert f"### Measure {kpi.measure.name}" in lines
        assert kpi.measure.formula in TEXT
        assert all(f"- {example.why}" in lines for example in kpi.measure.examples)
    for table in (*PUBLISHED, *WAREHOUSE):
        heading = f"### {table.short_name if table in PUBLISHED else table.name}"
        section = TEXT.split(f"\n{heading}\n", 1)[1].split("\n### ", 1)[0]
        assert all(f"| `{column.name}` |" in section for column in table.columns)
    assert all(f"### {view}" in lines for view in VIEWS)


def test_headings_are_unique_so_that_links_to_them_work() -> None:
    """The view communities_served, the table active_users and the KPIs must not share one."""
    headings = [line for line in TEXT.splitlines() if line.startswith("### ")]
    assert len(headings) == len(set(headings))


def test_every_status_that_a_value_can_have_is_explained() -> None:
    """Formulas write statuses as literals: after `then` or `else`, or as the last column of a SELECT."""
    given = {stage.NO_DATA, stage.NOT_CONNECTED}
    for measure in CATALOG.measures:
        code = re.sub(r"--.*", "", measure.formula)
        for case in re.findall(r"case\b(?:(?!\bcase\b).)*?\bend as status", code, re.DOTALL):
            given |= set(re.findall(r"(?:then|else) '([^']+)'", case))
        given |= set(re.findall(r"'([^']+)' as status", code))
        given |= {row["status"] for example in measure.examples for row in example.expected}
    assert given == set(dictionary.STATUSES)


def test_a_stale_file_is_noticed_and_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "data-dictionary.md"
    monkeypatch.setattr(dictionary, "is_current", lambda: path.exists())
    monkeypatch.setattr(dictionary, "write", lambda: path.write_text("new", encoding="utf-8"))
    assert dictionary.main(["--check"]) == 1
    assert dictionary.COMMAND in capsys.readouterr().err
    assert dictionary.main([]) == 0
    assert dictionary.main(["--check"]) == 0
    assert dictionary.main(["--chekc"]) == 2


def test_another_text_is_not_current(tmp_path: Path) -> None:
    path = tmp_path / "data-dictionary.md"
    assert not dictionary.is_current(path)
    dictionary.write(path)
    assert dictionary.is_current(path)
    path.write_text(path.read_text(encoding="utf-8") + "x", encoding="utf-8")
    assert not dictionary.is_current(path)
