"""nbgitpuller: access logs of some hubs, in both formats, and the clicks in them, counted one by one.

Never here: the pipeline's way of counting.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import quote

from kpi_pipeline.sample.dice import dice, pick, whole
from kpi_pipeline.sample.hubs import Hub
from kpi_pipeline.sample.period import windows
from kpi_pipeline.sample.simulate import World
from kpi_pipeline.sample.support import periods
from kpi_pipeline.sample.write import csv_line, write_file

HUBS: Final = 4
DAYS: Final = 75
HALF_HOUR: Final = timedelta(minutes=30)
REPOS: Final = ("https://github.com/example/course", "https://github.com/example/Lab-1")
SPELLINGS: Final = ("{}", "{}.git", "{}/", "{}.git/")
Hit = tuple[datetime, int, int]


def write_clicks(folder: Path, truth: Path, world: World) -> None:
    """The files of `access_logs`, and truth/nbgitpuller_clicks.csv."""
    clicks: Counter[tuple[str, str, str, date, date]] = Counter()
    hits: Counter[tuple[str, str, str, date, date]] = Counter()
    found: list[tuple[Hub, datetime, bool]] = []
    for number, hub in enumerate(_hubs(world)):
        landings = sorted(_landings(world, hub))
        _write(folder / hub.cluster / hub.name, landings, world, nginx=number % 2 == 0)
        found += [(hub, moment, is_click) for moment, is_click in _clicks(landings)]
    began = min((moment.date() for _, moment, _ in found), default=world.period.last)
    spans = [("", *days) for days in periods(began, world.period.last)]
    spans += [("rolling_30_days", *days) for days in windows(began, world.period.last)]
    for hub, moment, is_click in found:
        version = hub.on(moment.date())
        assert version is not None
        members = (("organisation", "organisation"), ("hub_type", version.hub_type), ("hub", hub.hub_id))
        for span, start, end in spans:
            if start <= moment.date() <= end:
                hits.update((*member, span, start, end) for member in members)
                clicks.update((*member, span, start, end) for member in members if is_click)
    if not found:
        # A source that is connected has a file; this one holds nothing that counts.
        line = f'10.0.0.1 - - [{world.period.last:%d/%b/%Y}:12:00:00 +0000] "GET /hub/login HTTP/1.1" 200 512 "-" "-"'
        write_file(folder / world.hubs[0].cluster / world.hubs[0].name / "quiet.log", f"{line}\n".encode())
    rows: list[tuple[object, ...]] = [("grain", "member", "window", "period_start", "period_end", "clicks", "hits")]
    rows += [(*key, clicks[key], hits[key]) for key in sorted(hits)]
    write_file(truth / "nbgitpuller_clicks.csv", b"".join(csv_line(str(cell) for cell in row) for row in rows))


def _hubs(world: World) -> list[Hub]:
    """Hubs in service during all of the days that are logged, those of education first."""
    days = range(max(0, world.period.days - DAYS), world.period.days)
    whole_time = [h for h in world.hubs if h.kind == "production" and all(h.service(world.period)[d] for d in days)]
    return sorted(whole_time, key=lambda h: (h.versions[-1].hub_type != "education", h.hub_id))[:HUBS]


def _landings(world: World, hub: Hub) -> Iterator[Hit]:
    """(moment, person, repository): a click is a burst of lines, and some people come back."""
    days = min(DAYS, world.period.days)
    for back in range(days):
        rng = dice(world.seed, "clicks", hub.hub_id, back)
        midnight = datetime.combine(world.period.last - timedelta(days=back), time(), UTC)
        for _ in range(whole(rng, 0, 3)):
            moment = midnight + timedelta(seconds=whole(rng, 0, 80000))
            person, repo = whole(rng, 0, 9), whole(rng, 0, 1)
            for _ in range(whole(rng, 1, 4)):
                if moment.date() == midnight.date():
                    yield moment, person, repo
                moment += timedelta(seconds=pick(rng, (1, 20, 1799, 1800, 1801, 3600)))


def _clicks(landings: list[Hit]) -> Iterator[tuple[datetime, bool]]:
    """Looks back from every landing over all that came before it."""
    for place, (moment, person, repo) in enumerate(landings):
        before = [m for m, p, r in landings[:place] if (p, r) == (person, repo)]
        yield moment, not any(moment - m <= HALF_HOUR for m in before)


def _write(folder: Path, landings: list[Hit], world: World, *, nginx: bool) -> None:
    lines: dict[str, list[str]] = {m: [] for m in sorted({f"{moment:%Y-%m}" for moment, *_ in landings})}
    for number, hit in enumerate(landings):
        lines[f"{hit[0]:%Y-%m}"] += _lines(hit, number, nginx=nginx)
    for number, (month, content) in enumerate(lines.items()):
        if nginx and number == 0:
            content.insert(len(content) // 2, "~~~ disk full ~~~")
        suffix = ".log.gz" if number % 2 else ".log"
        write_file(folder / f"{month}{suffix}", "".join(f"{line}\n" for line in content).encode())


def _lines(hit: Hit, number: int, *, nginx: bool) -> Iterator[str]:
    """The landing itself, and what comes with it: a redirect before, and the interface after."""
    moment, person, repo = hit
    name = f"learner-{person}" if number % 5 else f"Learner-{person}"
    link = quote(SPELLINGS[number % 4].format(REPOS[repo]), safe="")
    if number % 3 == 0:
        link = link.replace("github.com", "GitHub.com")
    path = f"/user/{name}/git-pull?repo={link}&branch=main"
    for status, request in ((302, path), (200, path), (200, f"/user/{name}/lab/tree/course")):
        if nginx:
            when = moment.strftime("%d/%b/%Y:%H:%M:%S +0000")
            yield f'10.0.0.1 - - [{when}] "GET {request} HTTP/1.1" {status} 512 "-" "Mozilla/5.0"'
        else:
            yield f"[I {moment:%Y-%m-%d %H:%M:%S}.042 ServerApp] {status} GET {request} ({name}@10.0.0.1) 12.34ms"
