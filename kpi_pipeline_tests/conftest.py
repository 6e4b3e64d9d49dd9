"""Which tests share a process: those that share something that takes long to make."""

from pathlib import Path

import pytest

SHARING = ("webserver", "test_truth", "test_truth_github", "test_published", "test_real_registry")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        parts = {*item.path.parts, Path(item.path).stem}
        if shared := [name for name in SHARING if name in parts]:
            group = "sample" if shared[0] in ("test_truth", "test_truth_github", "test_published") else shared[0]
            item.add_marker(pytest.mark.xdist_group(group))
