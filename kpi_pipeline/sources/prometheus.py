"""Prometheus, asked directly or through a Grafana: who had a server running on which day, and metrics of a day.

What belongs here: questions to its HTTP API. What never does: the shape of an answer's samples, which raw reads.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import quote

from kpi_pipeline.days import missing, single, span, union
from kpi_pipeline.errors import KpiError, SourceError
from kpi_pipeline.settings.base import Login
from kpi_pipeline.settings.sources import (
    ApiMetricsPrometheus,
    AskedPrometheus,
    HubActivityPrometheus,
    UptimePrometheus,
)
from kpi_pipeline.sources.transport import BadAnswerError, Question, Reply, Transport, login_headers
from kpi_pipeline.sources.walk import Cursor, Fetched, Seen, Tools, Walk, named_by_content

DAY = timedelta(days=1)
# A sample of midnight belongs to the day that begins: a day is asked for at its last millisecond. Which range is then
# the day depends on the server: up to Prometheus 2 a range has both its ends, from 3 on it lacks the first.
LAST_MOMENT = timedelta(milliseconds=86_399_999)
WITH_BOTH_ENDS, WITHOUT_THE_FIRST = "86399999ms", "86400000ms"
ENDS = "count_over_time(vector(1)[60s:60s])"
# A day is looked at every so often to see whether the server worked then.
LOOKS_EVERY = timedelta(minutes=5)
LOOKS_A_DAY = DAY // LOOKS_EVERY
DAYS_AT_ONCE = 30
# How long to hope for a day that the server knew nothing of; how far back to ask at first.
HOPE_DAYS, HISTORY_DAYS = 30, 365
# The newest day that is covered is read once more: samples may reach a server late.
READ_AGAIN = 1
# The last scrapes of a day are given some time to arrive.
SETTLES = timedelta(minutes=10)


@dataclass(frozen=True)
class Server:
    """One Prometheus: where its API is, and how to ask it."""

    transport: Transport
    base: str

    def query(self, walk: Walk, expression: str, at: datetime | None = None) -> list[Any]:
        """An instant query, as of a moment or now: its vector."""
        moment = (("time", f"{at.timestamp():.3f}"),) if at else ()
        asked = Question(f"{self.base}/query", (("query", expression), *moment), check=_an_answer("vector"))
        return list(walk.get(self.transport, asked).json()["data"]["result"])

    def whole_day(self, walk: Walk) -> str:
        """The range that is a day, for this server: two of two steps are in a range that has both its ends."""
        midnight = datetime.combine(walk.started_at.date(), time(), UTC)
        (steps,) = self.query(walk, ENDS, midnight)
        return WITH_BOTH_ENDS if steps["value"][1] == "2" else WITHOUT_THE_FIRST

    def now(self, walk: Walk) -> datetime:
        """What the server says the time is: of two clocks, the one that is behind says which day is over."""
        reply = walk.get(
            self.transport, Question(f"{self.base}/query", (("query", "time()"),), check=_an_answer("scalar"))
        )
        return datetime.fromtimestamp(float(reply.json()["data"]["result"][1]), UTC)

    def query_range(self, walk: Walk, expression: str, start: datetime, end: datetime, step: timedelta) -> Reply:
        """A range query: a matrix."""
        asked = (
            ("query", expression),
            ("start", f"{start.timestamp():.3f}"),
            ("end", f"{end.timestamp():.3f}"),
            ("step", f"{step.total_seconds():g}"),
        )
        return walk.get(self.transport, Question(f"{self.base}/query_range", asked, check=_an_answer("matrix")))


class Asked:
    """What connectors to Prometheus share: the servers, and which days there are to ask for."""

    def __init__(self, source: str, configured: AskedPrometheus, tools: Tools) -> None:
        self.source, self.configured, self.at_once = source, configured, configured.at_once
        self._tools = tools
        self._transports: list[Transport] = []
        self._servers = {
            server.cluster: Server(self._transport(server.url, server), f"{server.url}/api/v1")
            for server in configured.servers
        }
        grafana = configured.grafana
        self._grafana = self._transport(grafana.url, grafana) if grafana else None

    def parts(self, walk: Walk) -> list[str]:
        """The clusters; of a Grafana, those whose datasources it has now."""
        if self._grafana is not None:
            self._servers = self._datasources(walk, self._grafana)
        return list(self._servers)

    def names(self, walk: Walk, part: str) -> bool:  # noqa: ARG002
        """Whether a Grafana should still know the cluster: its datasource isn't left out."""
        grafana = self.configured.grafana
        if grafana is None:
            return False
        datasources = [name for name, cluster in grafana.clusters.items() if cluster == part] or [part]
        return not any(fnmatchcase(name, glob) for name in datasources for glob in grafana.leave_out)

    def quota(self) -> int | None:
        return None

    def close(self) -> None:
        for transport in self._transports:
            transport.close()

    def days(self, walk: Walk, server: Server, whole_day: str) -> tuple[list[date], Fetched]:
        """The days to read, and what is fetched when they are."""
        last = _last_closed_day(min(walk.started_at, server.now(walk)))
        before, asked = _day(walk.cursor.get("since")), _day(walk.cursor.get("asked"))
        since = self.configured.since or before or last - HISTORY_DAYS * DAY
        # Days long ago that weren't there are not asked for each night, unless kpi.toml now asks for more of them.
        is_known = asked is not None and before is not None and since >= before
        first = max(since, asked - HOPE_DAYS * DAY) if asked and is_known else since
        again = [day for day in single(walk.covered) if day <= last][-READ_AGAIN:]
        wanted = sorted({*missing(first, last, walk.covered), *again})
        shares = self._observed(walk, server, wanted, whole_day)
        whole = [day for day in wanted if shares.get(day, 0) >= self.configured.min_observed * LOOKS_A_DAY]
        covered = walk.covered
        for day in whole:
            covered = union(covered, span(day, day))
        read = [day for day in wanted if shares.get(day)]
        first_day = min([day for day in (_day(walk.cursor.get("first")), *read[:1]) if day], default=None)
        cursor: Cursor = {"since": since.isoformat(), "asked": max(last, asked or last).isoformat()}
        if first_day is not None:
            cursor["first"] = first_day.isoformat()
        return read, Fetched(cursor, covered, first_day)

    def _observed(self, walk: Walk, server: Server, days: list[date], whole_day: str) -> dict[date, int]:
        """How often, of LOOKS_A_DAY looks, there was anything to see; a day without is left out."""
        expression = f"count_over_time(({self.configured.observed})[{whole_day}:{LOOKS_EVERY.seconds}s])"
        found: dict[date, int] = {}
        for begin in range(0, len(days), DAYS_AT_ONCE):
            some = days[begin : begin + DAYS_AT_ONCE]
            reply = server.query_range(walk, expression, _end(some[0]), _end(some[-1]), DAY)
            for series in reply.json()["data"]["result"]:
                for at, looks in series["values"]:
                    day = datetime.fromtimestamp(float(at), UTC).date()
                    found[day] = max(found.get(day, 0), int(float(looks)))
        return found

    def _datasources(self, walk: Walk, grafana: Transport) -> dict[str, Server]:
        configured = self.configured.grafana
        assert configured is not None  # noqa: S101
        reply = walk.get(grafana, Question(grafana.url("api/datasources"), check=_datasources))
        found: dict[str, Server] = {}
        for datasource in reply.json():
            name = datasource["name"]
            left_out = any(fnmatchcase(name, glob) for glob in configured.leave_out)
            if datasource["type"] != "prometheus" or left_out:
                continue
            cluster = configured.clusters.get(name, name)
            if cluster in found:
                raise SourceError(
                    f"source {self.source}: Grafana",
                    got=f"two datasources for cluster {cluster!r}",
                    expected="one datasource per cluster",
                    fix="Name one of them in leave_out, or give it another cluster in clusters.",
                )
            found[cluster] = Server(
                grafana, grafana.url(f"api/datasources/proxy/uid/{quote(datasource['uid'], safe='')}/api/v1")
            )
        if not found:
            raise SourceError(
                f"source {self.source}: Grafana",
                got="no datasource of type prometheus that isn't left out",
                expected="one per cluster",
                fix="Give the token's service account the permission to read (and query) datasources.",
            )
        return found

    def _transport(self, url: str, login: Login) -> Transport:
        tools = self._tools
        headers = login_headers(login, tools.secret, f"who may read {url}")
        transport = Transport(self.source, url, secret_headers=headers, clock=tools.clock, limits=tools.limits)
        self._transports.append(transport)
        return transport

    def _examine_servers(self, walk: Walk, look: Callable[[Walk, Server], str]) -> Iterator[Seen]:
        try:
            parts = self.parts(walk)
        except KpiError as error:
            yield Seen("problem", str(error))
            return
        for part in parts:
            try:
                yield Seen("ok", f"{part}: {look(walk, self._servers[part])}")
            except KpiError as error:
                yield Seen("problem", f"{part}: {error}")


class Activity(Asked):
    """Who had a server running, per cluster and day. Pages: `<cluster>/<day>/<hash>.json`."""

    configured: HubActivityPrometheus

    def query(self, whole_day: str) -> str:
        """The user-days of the day that ends at the moment it is evaluated for."""
        asked = self.configured
        return (
            f"count by ({asked.hub_label}, {asked.username_label}) (max_over_time(kube_pod_annotations"
            f'{{pod=~"{asked.pods}", {asked.username_label}=~".+"}}[{whole_day}]))'
        )

    def fetch(self, walk: Walk) -> Fetched:
        """Lands each day that isn't covered yet; what a server says of it later may only add to it."""
        server = self._servers[walk.part]
        whole_day = server.whole_day(walk)
        days, fetched = self.days(walk, server, whole_day)
        for day in days:
            reply = server.query_range(walk, self.query(whole_day), _end(day), _end(day), DAY)
            rows = len(reply.json()["data"]["result"])
            walk.land(named_by_content(f"{quote(walk.part, safe='')}/{day}", reply), reply, rows)
        return fetched

    def examine(self, walk: Walk) -> Iterator[Seen]:
        yield from self._examine_servers(walk, self._look)

    def _look(self, walk: Walk, server: Server) -> str:
        annotated = f'count(kube_pod_annotations{{{self.configured.username_label}=~".+"}})'
        targets, pods = server.query(walk, self.configured.observed), server.query(walk, annotated)
        if not targets:
            return f"answers, but {self.configured.observed} is nothing there: set `observed` in kpi.toml"
        if not pods:
            return (
                "answers; nobody has a server running now, or kube-state-metrics doesn't export the annotation "
                "(--metric-annotations-allowlist=pods=[hub.jupyter.org/username])"
            )
        return f"answers; {pods[0]['value'][1]} server(s) running now"


class Metrics(Asked):
    """Metrics by day, from one query per folder. Pages: `<folder>/<server>/<day>.json`."""

    configured: ApiMetricsPrometheus | UptimePrometheus

    @property
    def queries(self) -> Mapping[str, str]:
        """What to ask, by folder."""
        asked = self.configured
        return asked.queries if isinstance(asked, ApiMetricsPrometheus) else {"uptime": asked.query}

    def fetch(self, walk: Walk) -> Fetched:
        """Lands each day that isn't covered yet; what is read again takes the place of what was read before."""
        server, step = self._servers[walk.part], timedelta(seconds=self.configured.step_seconds)
        days, fetched = self.days(walk, server, server.whole_day(walk))
        for day in days:
            for folder, query in self.queries.items():
                # Steps are named by their ends: the last one of a day by the midnight after it.
                reply = server.query_range(walk, query, _start(day) + step, _start(day) + DAY, step)
                rows = sum(len(series.get("values", ())) for series in reply.json()["data"]["result"])
                walk.land(f"{folder}/{quote(walk.part, safe='')}/{day}.json", reply, rows)
        return fetched

    def examine(self, walk: Walk) -> Iterator[Seen]:
        yield from self._examine_servers(walk, self._look)

    def _look(self, walk: Walk, server: Server) -> str:
        found = {folder: len(server.query(walk, query)) for folder, query in self.queries.items()}
        if empty := sorted(folder for folder, series in found.items() if not series):
            return f"answers; nothing now for {', '.join(empty)}: look at the query in kpi.toml"
        return "answers; " + ", ".join(f"{folder}: {series} series now" for folder, series in found.items())


def _an_answer(kind: str) -> Callable[[Reply], None]:
    def check(reply: Reply) -> None:
        found = reply.json()
        if not isinstance(found, dict) or found.get("status") != "success":
            raise BadAnswerError("no success")
        data = found.get("data")
        if not isinstance(data, dict) or data.get("resultType") != kind or not isinstance(data.get("result"), list):
            raise BadAnswerError(f"no {kind}")
        result = data["result"]
        samples = [result] if kind == "scalar" else [_samples(series, kind) for series in result]
        if not all(_is_a_sample(sample) for some in samples for sample in ([some] if kind == "scalar" else some)):
            raise BadAnswerError(f"a {kind} with something else than samples")
        if found.get("warnings"):
            # A distributed Prometheus that can't reach all of its stores answers with what it has, and warns.
            raise BadAnswerError("warnings: it isn't the whole answer")

    return check


def _samples(series: Any, kind: str) -> list[Any]:
    """The samples of a series: one of a vector, many of a matrix."""
    found = series.get("value" if kind == "vector" else "values") if isinstance(series, dict) else None
    if not isinstance(found, list):
        raise BadAnswerError("a series without samples")
    return [found] if kind == "vector" else found


def _is_a_sample(sample: Any) -> bool:
    """A moment, and a number as text."""
    is_pair = isinstance(sample, list) and len(sample) == 2 and isinstance(sample[1], str)
    return is_pair and isinstance(sample[0], int | float) and math.isfinite(sample[0])


def _datasources(reply: Reply) -> None:
    found = reply.json()
    right = isinstance(found, list) and all(
        isinstance(item, dict) and all(isinstance(item.get(key), str) for key in ("name", "type", "uid"))
        for item in found
    )
    if not right:
        raise BadAnswerError("no list of datasources")


def _last_closed_day(now: datetime) -> date:
    return (now - SETTLES).astimezone(UTC).date() - DAY


def _start(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _end(day: date) -> datetime:
    return _start(day) + LAST_MOMENT


def _day(text: object) -> date | None:
    return date.fromisoformat(text) if isinstance(text, str) else None
