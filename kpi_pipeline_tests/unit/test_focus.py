"""Which billing files are one delivery."""

import pytest

from kpi_pipeline.sources.focus import delivery_of


@pytest.mark.parametrize(
    "names",
    [
        ("2026-01-00001.csv.gz", "2026-01-00002.csv.gz"),
        ("aws/part-00000-6f1c.snappy.parquet", "aws/part-00001-6f1c.snappy.parquet"),
        ("azure/part_0_0001.csv", "azure/part_1_0001.csv"),
        ("export-00001.snappy.parquet", "export-00012.snappy.parquet"),
    ],
)
def test_parts_of_one_delivery(names: tuple[str, ...]) -> None:
    assert len({delivery_of(name) for name in names}) == 1


@pytest.mark.parametrize(
    "names",
    [
        ("2026-01.csv", "2026-02.csv"),
        ("focus_202601.csv", "focus_202602.csv"),
        ("focus_20260108.csv", "focus_20260109.csv"),
        ("aws/00001.csv", "gcp/00001.csv"),
        ("2026-01.csv", "2026-01.v2.csv"),
        ("20260101/part-00001.csv", "20260201/part-00001.csv"),
    ],
)
def test_deliveries_of_their_own(names: tuple[str, ...]) -> None:
    assert len({delivery_of(name) for name in names}) == len(names)
