"""Prometheus as far as it is asked for user-days: two clusters, some people, some days. Held to the real one in
test_real_prometheus."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import duckdb

from kpi_pipeline.landing import Landing
from kpi_pipeline.settings.base import Live
from kpi_pipeline.settings.sources import HubActivityPrometheus
from kpi_pipeline.stages import activity
from kpi_pipeline_tests.bad_input.organisation import key_of
from kpi_pipeline_tests.live.fetched import SECRET, utc
from kpi_pipeline_tests.live.server import Request, Response

FIRST = date(2026, 3, 1)
DAYS = 5
LABELS = ("namespace", "annotation_hub_jupyter_org_username")
UserDay = tuple[date, str, str, str]


class FakePrometheus:
    """User-days by cluster; days of which a share was observed only."""

    source = "hub_activity"
    night = utc(2026, 3, 1 + DAYS, 2, 30)

    def __init__(self) -> None:
        self.user_days: set[UserDay] = {
            (FIRST + timedelta(days=n), cluster, f"hub{person % 2}", f"zz-{cluster}-{person}")
            for n in range(DAYS)
            for cluster in ("coral", "kelp")
            for person in range(4 + n)
            if (n * 7 + person) % 3
        }
        self.looks: dict[tuple[str, date], int] = {}
        self.skew = timedelta()
        self.has_both_ends = True
        self.now = lambda: self.night

    def settings(self, url: str) -> HubActivityPrometheus:
        return HubActivityPrometheus.model_validate(
            {
                "kind": "prometheus",
                "servers": [
                    {"cluster": name, "url": f"{url}/{name}", "token_env": "TOKEN"} for name in ("coral", "kelp")
                ],
                "since": FIRST,
                "at_once": 1,
            }
        )

    def is_page(self, request: Request) -> bool:
        return "kube_pod_annotations" in request.query.get("query", "")

    def app(self, request: Request) -> Response:
        _, cluster, *path = request.path.split("/")
        query = request.query["query"]
        if request.headers.get("authorization") is None:
            return Response({"status": "error"}, 401)
        if path == ["api", "v1", "query"] and query == "time()":
            return _answer("scalar", [0, f"{(self.now() + self.skew).timestamp():.3f}"])
        if path == ["api", "v1", "query"] and query.startswith("count_over_time(vector(1)"):
            return _answer("vector", [{"metric": {}, "value": [0, "2" if self.has_both_ends else "1"]}])
        if path != ["api", "v1", "query_range"]:
            return Response({"status": "error"}, 404)
        start, end, step = (float(request.query[name]) for name in ("start", "end", "step"))
        moments = [start + n * step for n in range(round((end - start) / step) + 1)]
        if query.startswith("count_over_time"):
            samples = [(at, self.looks.get((cluster, _day(at)), 288)) for at in moments]
            return _answer("matrix", [{"metric": {}, "values": [[at, str(n)] for at, n in samples if n]}])
        found: dict[tuple[str, str], list[Any]] = {}
        for at in moments:
            for day, where, hub, person in sorted(self.user_days):
                if (day, where) == (_day(at), cluster):
                    found.setdefault((hub, person), []).append([at, "1"])
        series = [{"metric": dict(zip(LABELS, who, strict=True)), "values": values} for who, values in found.items()]
        return _answer("matrix", series)

    def rows(self) -> list[tuple[Any, ...]]:
        return sorted((day, cluster, hub, key_of(name, cluster)) for day, cluster, hub, name in self.user_days)

    def load(self, con: duckdb.DuckDBPyConnection, landing: Landing, configured: Live) -> None:
        assert isinstance(configured, HubActivityPrometheus)
        activity.load(con, landing, configured, SECRET)

    def loaded(self, con: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
        return con.execute(
            "select distinct date, cluster, hub, person_key from raw.hub_activity order by all"
        ).fetchall()

    def update_a_row(self) -> None:
        """A sample that arrives late, of the newest day."""
        self.user_days.add((FIRST + timedelta(days=DAYS - 1), "coral", "hub0", "zz-late"))

    def delete_a_row(self) -> None:
        """What Prometheus no longer has was there all the same: nothing is deleted that counts."""


def _answer(kind: str, result: Any) -> Response:
    return Response({"status": "success", "data": {"resultType": kind, "result": result}})


def _day(at: float) -> date:
    return datetime.fromtimestamp(at, UTC).date()
