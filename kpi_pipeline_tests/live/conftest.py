"""What all tests of live sources have in common: nobody's real credentials are ever found."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kpi_pipeline_tests.live.fetched import TOKEN


@pytest.fixture(scope="session", autouse=True)
def only_fake_aws_credentials(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    nothing: Path = tmp_path_factory.mktemp("aws")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_CA_BUNDLE"):
            patch.delenv(name, raising=False)
        patch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
        patch.setenv("AWS_SECRET_ACCESS_KEY", f"{TOKEN}-key")
        patch.setenv("AWS_SESSION_TOKEN", TOKEN)
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setenv("AWS_CONFIG_FILE", str(nothing / "config"))
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(nothing / "credentials"))
        yield
