"""Every test here has an organisation of its own, and no settings but its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from .organisation import SECRET, Organisation


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KPI_CONFIG", "KPI_DATA_DIR", "KPI_AS_OF"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KPI_ID_SECRET", SECRET)


@pytest.fixture
def org(tmp_path: Path) -> Iterator[Organisation]:
    organisation = Organisation(tmp_path)
    yield organisation
    organisation.close()
