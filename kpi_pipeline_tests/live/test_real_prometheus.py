"""A real Prometheus per cluster, 200 people, 90 days: landed is exactly what was written, and MAU is the truth."""

import gzip
import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest

from kpi_pipeline import fetching
from kpi_pipeline.contracts import WAREHOUSE
from kpi_pipeline.landing import Landing
from kpi_pipeline.settings.sources import HubActivityPrometheus, UptimePrometheus
from kpi_pipeline.sources.connectors import connector
from kpi_pipeline.sources.transport import Budget
from kpi_pipeline.sources.walk import Tools
from kpi_pipeline.stages import metrics
from kpi_pipeline.warehouse import create_tables
from kpi_pipeline_tests.bad_input.organisation import key_of
from kpi_pipeline_tests.end_to_end.commands import kpi, published, run
from kpi_pipeline_tests.live.fake_prometheus import FakePrometheus
from kpi_pipeline_tests.live.fetched import LIMITS, Nights, TurnedClock
from kpi_pipeline_tests.live.real_prometheus import CLUSTERS, Fleet, fleet
from kpi_pipeline_tests.live.server import Request, Response, served

DAY = timedelta(days=1)
LAST = datetime.now(UTC).date() - timedelta(days=1)
PATIENT = replace(LIMITS, answer_seconds=60)


@pytest.fixture(scope="session")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with fleet(tmp_path_factory.mktemp("prometheus"), LAST) as running:
        yield running


class RealPrometheus(FakePrometheus):
    """As the fake one, but asked of the real servers."""

    def __init__(self, running: Fleet, **more: Any) -> None:
        self.running, self.more = running, more

    def settings(self, url: str) -> HubActivityPrometheus:  # noqa: ARG002
        servers = [{"cluster": cluster, "url": self.running.url(cluster)} for cluster in CLUSTERS]
        return HubActivityPrometheus.model_validate(
            {"kind": "prometheus", "servers": servers, "since": self.running.history.first, **self.more}
        )

    def rows(self) -> list[tuple[Any, ...]]:
        return sorted((day, c, hub, key_of(name, c)) for day, c, hub, name in self.running.history.user_days)


def nights(running: Fleet, folder: Path, **more: Any) -> Nights:
    return Nights(folder, RealPrometheus(running, **more), "", TurnedClock(datetime.now(UTC)), PATIENT)


@pytest.fixture(scope="session")
def landed(prometheus: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Nights:
    """All of it, fetched once."""
    fetched = nights(prometheus, tmp_path_factory.mktemp("landed"))
    fetched.fetch_until_through()
    return fetched


def test_the_user_days_are_exactly_those_that_were_written(landed: Nights, prometheus: Fleet) -> None:
    assert len(prometheus.history.user_days) > 2000
    assert landed.loaded() == landed.vendor.rows()


def test_a_sample_of_midnight_counts_once_and_one_a_millisecond_before_too(landed: Nights, prometheus: Fleet) -> None:
    found: dict[str, list[date]] = {}
    for file in landed.landing.files("hub_activity", "log"):
        day = date.fromisoformat(file.name.split("/")[1])
        answer = json.loads(gzip.decompress(landed.landing.path("hub_activity", file).read_bytes()))
        for series in answer["data"]["result"]:
            found.setdefault(series["metric"]["annotation_hub_jupyter_org_username"], []).append(day)
    days = prometheus.history.days
    assert found["zz-edge-maths"] == [days[10]]
    assert found["zz-edge-physics"] == [days[19]]
    assert found["zz-owl"] == [days[29], days[30]]


def test_a_day_that_nobody_looked_at_is_missing_and_a_quiet_one_is_not(landed: Nights, prometheus: Fleet) -> None:
    """One server was down; of the other, only what exports the annotations was."""
    history = prometheus.history
    newest = landed.landing.newest("hub_activity")
    assert newest is not None
    for cluster in CLUSTERS:
        (gap,) = history.missing[cluster]
        assert newest.parts[cluster].covered == ((history.first, gap - DAY), (gap + DAY, history.last))


def test_the_next_night_asks_little(landed: Nights, prometheus: Fleet) -> None:
    """The time, the ends of ranges, what was observed, and the newest day once more, of each cluster."""
    before = len(landed.landing.files("hub_activity", "log"))
    outcome = landed.fetch()
    assert outcome.requests <= 4 * len(CLUSTERS)
    assert len(landed.landing.files("hub_activity", "log")) == before


def test_a_grafana_that_knows_all_of_them(prometheus: Fleet, tmp_path: Path) -> None:
    """A stand-in for Grafana's datasource proxy in front of the real servers; nobody's token goes past it."""
    sources = [
        {"uid": f"uid-{cluster}", "name": f"{cluster} (prod)", "type": "prometheus", "access": "proxy"}
        for cluster in CLUSTERS
    ]
    others = [
        {"uid": "logs", "name": "Logs", "type": "loki"},
        {"uid": "old", "name": "old cluster", "type": "prometheus"},
    ]

    def grafana(request: Request) -> Response:
        if request.headers.get("authorization") != "Bearer zz-token-that-nobody-may-see":
            return Response({"message": "Unauthorized"}, 401)
        if request.path == "/grafana/api/datasources":
            return Response([*sources, *others])
        _, _, _, _, _, _, uid, *path = request.path.split("/")
        url = prometheus.url(uid.removeprefix("uid-"))
        answer = httpx.get(f"{url}/{'/'.join(path)}", params=dict(request.query), timeout=60)
        return Response(answer.content, answer.status_code)

    with served(grafana) as server:
        fetched = nights(
            prometheus,
            tmp_path,
            servers=(),
            grafana={
                "url": f"{server.url}/grafana",
                "token_env": "GRAFANA_TOKEN",
                "clusters": {f"{cluster} (prod)": cluster for cluster in CLUSTERS},
                "leave_out": ["old *"],
            },
        )
        outcome = fetched.fetch()
        assert outcome.finished == ("coral", "kelp")
        assert fetched.loaded() == fetched.vendor.rows()
        fetched.assert_nothing_secret()


def test_metrics_of_a_day(prometheus: Fleet, tmp_path: Path) -> None:
    """Uptime as the real server has it: 12 looks an hour, none on the day without a server."""
    history = prometheus.history
    configured = UptimePrometheus.model_validate(
        {
            "kind": "prometheus",
            "servers": [{"cluster": cluster, "url": prometheus.url(cluster)} for cluster in CLUSTERS],
            "since": history.days[38],
            "step_seconds": 3600,
            "system_label": "instance",
            "query": "avg by (instance) (avg_over_time(up[1h]))",
        }
    )
    landing, clock = Landing(tmp_path / "landing"), TurnedClock(datetime.now(UTC))
    with closing(connector("uptime", configured, Tools(clock=clock, limits=PATIENT))) as asked:
        fetching.fetch(
            landing, "uptime", "prometheus", asked, carries=False, budget=Budget(clock), tell=print, clock=clock
        )
    with duckdb.connect() as con:
        create_tables(con, WAREHOUSE)
        metrics.load_uptime(con, landing, configured)
        assert con.execute("select count(*) from raw.quarantine").fetchall() == [(0,)]
        found = con.execute(
            "select system, date, count(*), min(value), max(value) from raw.uptime group by all"
        ).fetchall()
    gap = history.days[40]
    hours = {(system, day): (n, low, high) for system, day, n, low, high in found}
    assert {hours[("coral", day)] for day in history.days[38:]} == {(24, 1, 1)}
    # An hour holds the sample at its end: the first of the next day is of the last hour of the gap.
    assert hours[("kelp", gap)] == (1, 1, 1)
    assert hours[("kelp", gap - timedelta(days=1))] == (24, 1, 1)
    newest = landing.newest("uptime")
    assert newest is not None
    assert [first for first, _ in newest.parts["kelp"].covered] == [history.days[38], history.days[41]]


def mau(history: Any, cluster: str | None, day: date) -> int:
    """Distinct people in the 30 days that end on a day, counted plainly."""
    return len(
        {
            (where, name)
            for at, where, hub, name in history.user_days
            if day - timedelta(days=29) <= at <= day and hub != "staging" and cluster in (None, where)
        }
    )


def expected_status(history: Any, cluster: str | None, day: date, kelp_until: date | None = None) -> str:
    """Incomplete is a window that begins before the data, or holds a day that a cluster lacks."""
    window = {day - n * DAY for n in range(30)}
    lacking = {gap for name, gaps in history.missing.items() if cluster in (None, name) for gap in gaps}
    if kelp_until and cluster is None:
        lacking |= {later for later in history.days if later > kelp_until}
    return "incomplete" if min(window) < history.first or window & lacking else "ok"


KPI_TOML = """
[organisation]
name = "Reef"

[sources.hub_registry]
kind = "table"
path = "registry.csv"
staging = ["staging"]

[sources.hub_activity]
kind = "prometheus"
since = {since}
at_once = 2
servers = [{servers}]
"""


@pytest.fixture
def reef(prometheus: Fleet, tmp_path: Path) -> Path:
    servers = ", ".join(f'{{ cluster = "{cluster}", url = "{prometheus.url(cluster)}" }}' for cluster in CLUSTERS)
    config = tmp_path / "kpi.toml"
    config.write_text(KPI_TOML.format(since=prometheus.history.first, servers=servers))
    rows = [f"2020-01-01,,{cluster},gcp,{hub},{hub},,," for cluster, hubs in CLUSTERS.items() for hub in hubs]
    header = "valid_from,valid_to,cluster,provider,hub,display_name,domain,helm_chart,hubspot_deal_id"
    (tmp_path / "registry.csv").write_text("\n".join([header, *rows, ""]))
    return config


def values(data: Path) -> dict[tuple[str, str], dict[date, tuple[int, str]]]:
    with published(data) as con:
        rows = con.execute(
            "select grain, member, period_end, value::bigint, status from kpi_values "
            "where kpi_id = 'impact.monthly_active_users'"
        ).fetchall()
    found: dict[tuple[str, str], dict[date, tuple[int, str]]] = {}
    for grain, member, day, value, status in rows:
        found.setdefault((grain, member), {})[day] = (value, status)
    return found


def test_mau_through_the_whole_pipeline_and_a_cluster_that_fails(prometheus: Fleet, reef: Path, tmp_path: Path) -> None:
    """Night one lacks a cluster's last days: totals say so. Night two gets them: totals are the truth again."""
    history, data = prometheus.history, tmp_path / "data"
    secret = {"KPI_ID_SECRET": "a-secret-for-tests-only"}
    early = history.last - timedelta(days=1)
    done = run(reef, data, "--as-of", early, **secret)
    assert "hub_activity: 2 of 2 parts" in done.stdout

    # The next night kelp can't be reached. What was landed of it stays; its newest day is read once more in vain.
    prometheus.stop("kelp")
    try:
        with duckdb.connect(str(data / "warehouse" / "warehouse.duckdb")) as con:
            assert con.execute("select count(*) from raw.parts").fetchall() == [(2,)]
        forget_newest_day(data, "kelp", history.last)
        done = run(reef, data, **secret)
    finally:
        prometheus.start("kelp")
    assert "warning: raw/hub_activity: check every_part_is_fetched" in done.stdout
    found = values(data)
    for grain, cluster in ((("organisation", "organisation"), None), (("cluster", "coral"), "coral")):
        for day in history.days:
            value, status = found[grain][day]
            assert status == expected_status(history, cluster, day, kelp_until=early), (grain, day)
            if cluster == "coral" or day != history.last:
                assert value == mau(history, cluster, day), (grain, day)
    with published(data) as con:
        (coverage,) = con.execute(
            "select numerator::int, denominator::int from kpi_values where kpi_id = 'impact.monthly_active_users' "
            "and grain = 'organisation:clusters_covered' and period_end = ?",
            [history.last],
        ).fetchall()
        health = con.execute(
            "select newest_data, parts, parts_whole from data_health where source = 'hub_activity'"
        ).fetchall()
        parts = con.execute("select part, state, covered_until from source_parts order by 1").fetchall()
    assert coverage == (1, 2)
    # Of each cluster there is a day that nobody looked at.
    assert health == [(early, 2, 0)]
    assert parts == [("coral", "gaps", history.last), ("kelp", "failing", early)]

    # It is back: the next run fills the gap.
    run(reef, data, **secret)
    found = values(data)
    for day in history.days[29:]:
        expected = mau(history, None, day), expected_status(history, None, day)
        assert found["organisation", "organisation"][day] == expected
    with published(data) as con:
        assert con.execute("select distinct member from active_users where grain = 'hub'").fetchall()
        staging = con.execute("select count(*) from active_users where member = 'coral/staging'").fetchall()
    assert staging == [(0,)]


def forget_newest_day(data: Path, part: str, day: date) -> None:
    """As if the last night had been a day earlier: takes a part's newest day out of the newest manifest."""
    folder = data / "landing" / "hub_activity" / "manifests"
    path = max(folder.iterdir())
    manifest = json.loads(path.read_text())
    state = manifest["parts"][part]
    state["covered"][-1][1] = str(day - timedelta(days=1))
    state["cursor"]["asked"] = str(day - timedelta(days=1))
    manifest["files"] = [
        f for f in manifest["files"] if not (f["part"] == part and f["name"].startswith(f"{part}/{day}/"))
    ]
    path.write_text(json.dumps(manifest))


def test_the_doctor_says_how_they_are(prometheus: Fleet, reef: Path, tmp_path: Path) -> None:
    answered = kpi("doctor", "--config", reef, "--data-dir", tmp_path / "data", KPI_ID_SECRET="a-secret-for-tests-only")
    assert "hub_activity: coral: answers" in answered.stdout
    prometheus.stop("kelp")
    try:
        failing = kpi("doctor", "--config", reef, "--data-dir", tmp_path / "d", KPI_ID_SECRET="a-secret-for-tests-only")
    finally:
        prometheus.start("kelp")
    assert failing.returncode == 1
    assert "problem  hub_activity: kelp: source hub_activity" in failing.stdout


def test_the_doctor_of_a_server_that_lacks_the_annotation(prometheus: Fleet) -> None:
    """There are pods, but nobody's name is on them: kube-state-metrics must be told to export it."""
    configured = RealPrometheus(prometheus, username_label="annotation_of_another_name").settings("")
    asked = connector("hub_activity", configured, Tools(limits=PATIENT))
    seen = list(asked.examine(fetching.Glance(datetime.now(UTC), Budget(TurnedClock(datetime.now(UTC))))))
    assert [s.state for s in seen] == ["ok", "ok"]


def test_a_server_that_is_gone_is_an_error_that_says_so(prometheus: Fleet, tmp_path: Path) -> None:
    prometheus.stop("kelp")
    try:
        outcome = nights(prometheus, tmp_path).fetch()
    finally:
        prometheus.start("kelp")
    assert outcome.finished == ("coral",)
    assert "no whole answer (ConnectError)" in outcome.problems["kelp"]
