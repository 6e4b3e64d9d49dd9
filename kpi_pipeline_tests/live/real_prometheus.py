"""A real Prometheus with back-dated data: who had a server running when, in two clusters, for 90 days. No test is here.

What is written is made from chance with a fixed seed; who was active on which day is known from that, not from a query.
"""

import random
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from kpi_pipeline_tests.live.processes import free_port, program, started

CLUSTERS = {"coral": ("maths", "physics", "staging"), "kelp": ("biology",)}
PEOPLE, DAYS = 200, 90
SCRAPE = timedelta(minutes=5)
MILLISECOND = timedelta(milliseconds=1)
# Of a pod, what kube-state-metrics says; and what says that the server works.
PODS = 'kube_pod_annotations{{namespace="{hub}",pod="{pod}"{annotation}}} 1 {at:.3f}'
ANNOTATION = ',annotation_hub_jupyter_org_username="{name}"'
UP = 'up{{job="kube-state-metrics",instance="{cluster}"}} 1 {at:.3f}'


@dataclass
class History:
    """What was written. `user_days`: date, cluster, hub, username.

    `missing`: days of a cluster that nobody looked at: its server was down, or (`blind`) only kube-state-metrics was.
    """

    last: date
    user_days: set[tuple[date, str, str, str]] = field(default_factory=set)
    missing: dict[str, set[date]] = field(default_factory=dict)
    blind: set[tuple[str, date]] = field(default_factory=set)
    lines: dict[str, list[str]] = field(default_factory=dict)

    @property
    def first(self) -> date:
        return self.last - timedelta(days=DAYS - 1)

    @property
    def days(self) -> list[date]:
        return [self.first + timedelta(days=n) for n in range(DAYS)]


def history(last: date) -> History:
    """200 people on four hubs; some use several, some stay away for exactly 30 days, one works through midnights."""
    chance, made = random.Random(200), History(last)
    for cluster in CLUSTERS:
        made.lines[cluster] = []
        made.missing[cluster] = set()
    made.missing["kelp"].add(made.days[40])
    made.missing["coral"].add(made.days[50])
    made.blind.add(("coral", made.days[50]))
    for number in range(PEOPLE):
        cluster = "coral" if number % 3 else "kelp"
        hubs = CLUSTERS[cluster]
        name = f"zz-person{number}@example.org"
        days = _days_of(number, made.days, chance)
        for day in days:
            for hub in {hubs[number % len(hubs)], *([hubs[-1]] if chance.random() < 0.1 else [])}:
                start = _midnight(day) + chance.randrange(22 * 12) * SCRAPE
                _session(made, cluster, hub, name, start, start + chance.randrange(1, 12) * SCRAPE)
    # At the very edges of days: the first and the last millisecond, and a night through.
    for hub, moment in (("maths", _midnight(made.days[10])), ("physics", _midnight(made.days[20]) - MILLISECOND)):
        _session(made, "coral", hub, f"zz-edge-{hub}", moment, moment)
    _session(made, "coral", "maths", "zz-owl", _midnight(made.days[30]) - 6 * SCRAPE, _midnight(made.days[30]) + SCRAPE)
    for cluster, hubs in CLUSTERS.items():
        for day in made.days:
            if day in made.missing[cluster] and (cluster, day) not in made.blind:
                continue
            for n in range(24 * 12):
                at = (_midnight(day) + n * SCRAPE).timestamp()
                made.lines[cluster].append(UP.format(cluster=cluster, at=at))
                if (cluster, day) not in made.blind:
                    # Pods of the hub itself, which nobody's name is on.
                    made.lines[cluster] += [PODS.format(hub=h, pod=f"hub-{h}", annotation="", at=at) for h in hubs]
    return made


def _days_of(number: int, days: list[date], chance: random.Random) -> list[date]:
    if number < 5:
        # Seen, away for exactly 29, 30, 31 days, seen again.
        return [days[3], days[3 + 28 + number]]
    return [day for day in days if chance.random() < 0.15]


def _session(made: History, cluster: str, hub: str, name: str, start: datetime, end: datetime) -> None:
    at = start
    while at <= end:
        day = at.date()
        if day not in made.missing[cluster] and made.first <= day <= made.last:
            # A new pod for each session, as a hub starts them.
            pod = f"jupyter-{name.split('@')[0]}-{start:%Y%m%d%H%M}"
            annotation = ANNOTATION.format(name=name)
            made.lines[cluster].append(PODS.format(hub=hub, pod=pod, annotation=annotation, at=at.timestamp()))
            made.user_days.add((day, cluster, hub, name))
        at += SCRAPE


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


class Fleet:
    """A Prometheus per cluster, each of which can be stopped and started."""

    def __init__(self, folder: Path, made: History) -> None:
        self.folder, self.history = folder, made
        self.ports = {cluster: free_port() for cluster in CLUSTERS}
        self._running: dict[str, ExitStack] = {}
        for cluster in CLUSTERS:
            self._write_blocks(cluster)

    def url(self, cluster: str) -> str:
        return f"http://127.0.0.1:{self.ports[cluster]}"

    def start(self, cluster: str) -> None:
        data, url = self.folder / cluster, self.url(cluster)
        config = self.folder / "prometheus.yml"
        config.write_text("global: {scrape_interval: 1h}\n")
        command = [
            program("prometheus"),
            f"--config.file={config}",
            f"--storage.tsdb.path={data}",
            # Otherwise it deletes what is older than a fortnight.
            "--storage.tsdb.retention.time=10y",
            f"--web.listen-address=127.0.0.1:{self.ports[cluster]}",
        ]
        stack = ExitStack()
        stack.enter_context(started(command, self.folder / f"{cluster}.log", f"{url}/-/ready"))
        self._running[cluster] = stack

    def stop(self, cluster: str) -> None:
        self._running.pop(cluster).close()

    def close(self) -> None:
        for cluster in list(self._running):
            self.stop(cluster)

    def _write_blocks(self, cluster: str) -> None:
        samples = self.folder / f"{cluster}.om"
        lines = self.history.lines[cluster]
        # All samples of a metric stand together, those of a series in order.
        in_order = sorted(lines, key=lambda line: (line.rsplit(" ", 2)[0], float(line.rsplit(" ", 1)[1])))
        samples.write_text("\n".join([*in_order, "# EOF", ""]))
        command = [program("promtool"), "tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=720h", "-q"]
        subprocess.run([*command, samples, self.folder / cluster], check=True, capture_output=True, timeout=300)


@contextmanager
def fleet(folder: Path, last: date) -> Iterator[Fleet]:
    """Both clusters' servers, with data up to a day."""
    running = Fleet(folder, history(last))
    try:
        for cluster in CLUSTERS:
            running.start(cluster)
        yield running
    finally:
        running.close()
