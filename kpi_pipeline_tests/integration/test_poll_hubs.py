"""The schedule that asks JupyterHubs every hour: what it starts, what that does, and when it starts nothing."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from kpi_pipeline import clock
from kpi_pipeline.definitions import POLL, defs, poll_hubs
from kpi_pipeline.landing import Landing
from kpi_pipeline_tests.live.fake_jupyterhub import FakeJupyterHub
from kpi_pipeline_tests.live.fetched import TOKEN
from kpi_pipeline_tests.live.server import served

ORGANISATION = '[organisation]\nname = "Reef"\n'
OTHER_KINDS = {
    "not connected": "",
    "files": '[sources.hub_activity]\nkind = "table"\npath = "hub_activity"\n',
    "pages of users in files": '[sources.hub_activity]\nkind = "jupyterhub_json"\npath = "hub_activity"\n',
    "Prometheus": '[sources.hub_activity]\nkind = "prometheus"\n'
    '[[sources.hub_activity.servers]]\ncluster = "coral"\nurl = "https://prometheus.example.org"\n',
}
LANDING = dg.AssetKey(["landing", "hub_activity"])


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a run would put what it has; no secret but the token is at hand."""
    monkeypatch.setenv("KPI_CONFIG", str(tmp_path / "kpi.toml"))
    monkeypatch.setenv("KPI_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("HUB_TOKEN", TOKEN)
    monkeypatch.delenv("KPI_ID_SECRET", raising=False)
    return tmp_path / "data"


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp() as made:
        yield made


def configure(data: Path, source: str) -> None:
    (data.parent / "kpi.toml").write_text(f"{ORGANISATION}{source}")


def jupyterhub(url: str) -> str:
    hubs = [
        f'[[sources.hub_activity.hubs]]\ncluster = "coral"\nhub = "{hub}"\nurl = "{url}/{hub}"\n'
        'token_env = "HUB_TOKEN"\n'
        for hub in ("prod", "lab")
    ]
    return '[sources.hub_activity]\nkind = "jupyterhub"\n' + "".join(hubs)


def tick(instance: dg.DagsterInstance) -> dg.RunRequest | dg.SkipReason:
    with dg.build_schedule_context(instance=instance) as context:
        found = poll_hubs(context)
    assert isinstance(found, dg.RunRequest | dg.SkipReason)
    return found


def test_it_is_off_until_somebody_switches_it_on_and_then_hourly() -> None:
    assert poll_hubs.default_status == dg.DefaultScheduleStatus.STOPPED
    assert poll_hubs.cron_schedule == "15 * * * *"
    assert poll_hubs.job_name == POLL


def test_its_job_lands_hub_activity_and_nothing_else(data: Path, instance: dg.DagsterInstance) -> None:
    """No warehouse is opened, so it may run while the nightly job loads; and no secret is needed but the token."""
    hub = FakeJupyterHub()
    with served(hub.app) as server:
        configure(data, jupyterhub(server.url))
        assert isinstance(tick(instance), dg.RunRequest)
        result = defs.resolve_job_def(POLL).execute_in_process(instance=instance)
        assert result.success
        assert [event.asset_key for event in result.get_asset_materialization_events()] == [LANDING]
        first = len(Landing(data / "landing").files("hub_activity", "log"))
        hub.update_a_row()
        assert defs.resolve_job_def(POLL).execute_in_process(instance=instance).success
    landing = Landing(data / "landing")
    assert len(landing.files("hub_activity", "log")) > first > 0
    assert len(landing.manifests("hub_activity")) == 2
    assert sorted(path.name for path in data.iterdir()) == ["landing"]


@pytest.mark.parametrize("kind", OTHER_KINDS)
def test_of_another_kind_it_starts_nothing_and_says_why(data: Path, instance: dg.DagsterInstance, kind: str) -> None:
    configure(data, OTHER_KINDS[kind])
    skipped = tick(instance)
    assert isinstance(skipped, dg.SkipReason)
    assert "nothing to poll" in str(skipped.skip_message)
    assert not data.exists()


def test_one_at_a_time(data: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    """But one whose process was killed, so that its end was never told, isn't waited for all day."""
    configure(data, jupyterhub("https://hub.example.org"))
    job = defs.resolve_job_def(POLL)
    run = instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    skipped = tick(instance)
    assert isinstance(skipped, dg.SkipReason)
    assert "under way" in str(skipped.skip_message)
    later = clock.now() + timedelta(hours=5)
    with monkeypatch.context() as patch:
        patch.setattr(clock, "now", lambda: later)
        assert isinstance(tick(instance), dg.RunRequest)
    instance.report_run_failed(run)
    assert isinstance(tick(instance), dg.RunRequest)
