"""Which tests share a process: those that share something that takes long to make."""

from pathlib import Path

import pytest

GROUPS = {
    "sample": ("test_truth", "test_opinion_truth", "test_published", "test_support"),
    "webserver": ("webserver",),
    "real": ("test_real_registry",),
    "jupyterhub": ("test_real_jupyterhub",),
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        names = (Path(item.path).stem, item.path.parent.name)
        for group, beginnings in GROUPS.items():
            if any(name.startswith(beginnings) for name in names):
                item.add_marker(pytest.mark.xdist_group(group))
