"""The cells of the pack's CSV."""

import pytest

from kpi_pipeline.report.pack import plain


@pytest.mark.parametrize("cell", ["=1+1", "+1", "@sum(1)", "-2+3", "-cmd|x", "--1", "-", "\t=1", "\r=1", "=1\n2"])
def test_what_a_spreadsheet_would_work_out_is_text(cell: str) -> None:
    assert plain(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["", "1", "-1.5", "-0.000000001", "coral-reef", "2026-09-30", "a=1", "<script>"])
def test_everything_else_is_as_it_was(cell: str) -> None:
    assert plain(cell) == cell
