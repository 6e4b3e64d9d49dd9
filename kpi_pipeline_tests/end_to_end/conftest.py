"""Data folders that several end-to-end tests read; each is made by `kpi run` itself."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from kpi_pipeline.sample import write_sample
from kpi_pipeline_tests.end_to_end.commands import SAMPLE, run


@pytest.fixture(scope="session")
def sample_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The committed sample organisation, run once. Read it, don't change it."""
    data = tmp_path_factory.mktemp("sample")
    run(SAMPLE / "kpi.toml", data)
    return data


@pytest.fixture
def small(tmp_path: Path) -> Callable[[], Path]:
    """Makes a small organisation of its own, and returns its kpi.toml."""

    def make() -> Path:
        folder = tmp_path / "organisation"
        write_sample(folder, seed=7, hubs=8, users=60, days=70, last_day=date(2026, 3, 31))
        return folder / "kpi.toml"

    return make
