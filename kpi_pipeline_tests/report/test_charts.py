"""The kinds of chart that a run reads are those that Altair writes, of the version of the program that draws them."""

import json
from importlib import resources

from kpi_pipeline.report import charts, kinds


def test_the_file_is_what_altair_writes() -> None:
    file = resources.files("kpi_pipeline").joinpath("report", "static", charts.FILE)
    assert file.read_text(encoding="utf-8") == kinds.written(), "scripts/chart_kinds.py writes it anew"


def test_the_unit_is_all_that_is_put_into_a_kind() -> None:
    named, nameless = charts.kind("bars", '"people"', "month"), charts.kind("bars", "", "month")
    assert named["encoding"]["y"].pop("title") == '"people"'
    assert nameless["encoding"]["y"].pop("title") is None
    assert named == nameless
    assert charts.UNIT not in json.dumps(named)
