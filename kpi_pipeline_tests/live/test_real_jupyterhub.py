"""A real JupyterHub: what is landed and counted is what it holds, and the fake one answers as it does."""

import json
import signal
import socket
import subprocess
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest
from pydantic import SecretStr

from kpi_pipeline import fetching
from kpi_pipeline.landing import content_of
from kpi_pipeline.settings.sources import HubActivityJupyterHub
from kpi_pipeline.sources.connectors import connector
from kpi_pipeline.sources.transport import Budget
from kpi_pipeline.sources.walk import Tools
from kpi_pipeline_tests.bad_input.organisation import key_of
from kpi_pipeline_tests.end_to_end.commands import PROJECT, wait_until
from kpi_pipeline_tests.live.counted import counted
from kpi_pipeline_tests.live.fake_jupyterhub import PAGINATION, FakeJupyterHub, User
from kpi_pipeline_tests.live.fetched import LIMITS, Nights, TurnedClock
from kpi_pipeline_tests.live.real_jupyterhub import TOKENS, RealHub, running
from kpi_pipeline_tests.live.server import Request, Response, served

PART = "coral/prod"
# As they are typed, and as the hub spells them.
SPELLINGS = {
    "ZZ-Capitals": "zz-capitals",
    "zz-Änne": "zz-änne",
    "zz-straße": "zz-straße",
    # The same person twice: NFKC makes one name of them.
    "zz-ｆｕｌｌ": "zz-ｆｕｌｌ",
    "zz-full": "zz-full",
    "zz-İstanbul": "zz-i̇stanbul",
    "zz-日本": "zz-日本",
    'zz-o\'hara "q"': 'zz-o\'hara "q"',
    "ZZ-X@Example.org": "zz-x@example.org",
    "zz-u\u0308ber": "zz-u\u0308ber",
}
PEOPLE = 450


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealHub]:
    """A hub with 450 users, of whom 5 in 9 were active, on some day of the last 45."""
    with running(tmp_path_factory.mktemp("jupyterhub")) as started:
        names = started.add([*(f"zz-{n:03}" for n in range(PEOPLE - len(SPELLINGS))), *SPELLINGS])
        assert names[-len(SPELLINGS) :] == list(SPELLINGS.values())
        now = datetime.now(UTC)
        for n, name in enumerate(names):
            if n % 9 < 5 or name in SPELLINGS.values():
                # Half a day away from where a period of whole days begins.
                started.was_active(name, now - timedelta(days=n * 7 % 45, hours=12, seconds=n))
        yield started


@dataclass
class Asked:
    """The real hub as a vendor of the nights; by another address, if somebody stands in between."""

    hub: RealHub
    source: str = "hub_activity"

    def settings(self, url: str) -> HubActivityJupyterHub:
        hub = {"cluster": "coral", "hub": "prod", "url": url, "token_env": "TOKEN"}
        return HubActivityJupyterHub.model_validate({"kind": "jupyterhub", "hubs": [hub]})


class RealNights(Nights):
    """Nights whose token is the real one."""

    def __init__(self, folder: Path, hub: RealHub, url: str | None = None) -> None:
        super().__init__(folder, Asked(hub), url or hub.url, TurnedClock(datetime.now(UTC)))  # type: ignore[arg-type]
        self.token = hub.tokens["kpis"]


def pages_landed(fetched: Nights) -> list[Any]:
    """The pages of the newest fetch."""
    newest = fetched.landing.newest("hub_activity")
    assert newest is not None
    return [json.loads(content_of(fetched.landing.path("hub_activity", file), True)) for file in newest.files]


def users_landed(fetched: Nights) -> set[tuple[str, datetime | None]]:
    """Name and last activity of everybody on them."""
    return {
        (user["name"], datetime.fromisoformat(user["last_activity"]) if user["last_activity"] else None)
        for page in pages_landed(fetched)
        for user in page["items"]
    }


def key(name: str) -> Any:
    """The key of a name in whatever spelling, worked out with the standard library."""
    return key_of(unicodedata.normalize("NFKC", name).casefold(), "coral")


# --- What is landed


def test_a_plain_question_gives_200_of_450(hub: RealHub) -> None:
    assert len(hub.get("/hub/api/users", "kpis").json()) == 200
    assert len(hub.held()) >= PEOPLE


def test_what_is_landed_is_what_the_hub_holds(hub: RealHub, tmp_path: Path) -> None:
    fetched = RealNights(tmp_path, hub)
    (outcome,) = fetched.fetch_until_through()
    held = hub.held()
    assert users_landed(fetched) == set(held)
    assert len(held) >= PEOPLE
    assert sorted(len(page["items"]) for page in pages_landed(fetched))[-2:] == [200, 200]
    assert outcome.pages == 3
    # Version, scopes, and pages that overlap by one.
    assert outcome.requests == 5


def test_then_only_those_who_were_active_lately(hub: RealHub, tmp_path: Path) -> None:
    """Reported by a server, or by logging in and looking at a page."""
    fetched = RealNights(tmp_path, hub)
    fetched.fetch_until_through()
    idle = [name for name, at in hub.held() if at is None]
    hub.was_active(idle[0], datetime.now(UTC) - timedelta(hours=3))
    hub.log_in(idle[1])
    hub.log_in("ZZ-New-Here")
    (outcome,) = fetched.fetch_until_through()
    assert outcome.pages == 1
    found = dict(users_landed(fetched))
    held = dict(hub.held())
    for name in (idle[0], idle[1], "zz-new-here"):
        assert found[name] == held[name] is not None
    # A page is 200 users, newest first; nobody after them was active later.
    assert len(found) == 200
    oldest = min(at for at in found.values() if at)
    assert {name for name, at in held.items() if at and at > oldest} <= set(found)


def test_somebody_is_deleted_between_any_two_pages(hub: RealHub, tmp_path: Path) -> None:
    """Some who were active and some who weren't, some seen already and some yet to come: in two readings of three."""
    now = datetime.now(UTC)
    going = hub.add([f"zz-going-{n}" for n in range(4)])
    for name in going[::2]:
        hub.was_active(name, now - timedelta(days=2))
    names = [name for name, _ in hub.held()]
    # After which page, counted over all readings: of users who were seen, all others move up, and it is read again.
    deletions = {
        0: [names[5], names[7]],
        2: [names[210]],
        3: [names[300], going[0]],
        5: [going[1], going[2]],
    }
    pages = [0]

    def between(request: Request) -> Response:
        headers = {name: request.headers[name] for name in ("authorization", "accept")}
        answer = hub.get(f"{request.path}?{urlencode(request.query)}", **headers)
        if request.path.endswith("/users"):
            hub.delete(deletions.get(pages[0], []))
            pages[0] += 1
        kept = {name: answer.headers[name] for name in ("date", "content-type")}
        return Response(answer.content, answer.status_code, {name.title(): value for name, value in kept.items()})

    with served(between) as server:
        fetched = RealNights(tmp_path, hub, server.url)
        (outcome,) = fetched.fetch_until_through()
    gone = {name for some in deletions.values() for name in some}
    held = hub.held()
    assert not gone & {name for name, _ in held}
    assert users_landed(fetched) == set(held)
    offsets = [int(request.query["offset"]) for request in server.requests if request.path.endswith("/users")]
    assert offsets == [0, 199, 0, 199, 398, 0, 199, 398]
    assert outcome.pages == 3


def test_nothing_secret_is_kept(hub: RealHub, tmp_path: Path) -> None:
    fetched = RealNights(tmp_path, hub)
    fetched.fetch_until_through()
    for path in (tmp_path / "landing").rglob("*"):
        if path.is_file():
            content = content_of(path, path.suffix == ".gz")
            assert hub.tokens["kpis"].encode() not in content, path


# --- What is counted


@pytest.mark.parametrize(("period", "length"), [("24h", 1), ("7d", 7), ("30d", 30)])
def test_active_users_are_those_of_the_hubs_own_gauge(hub: RealHub, period: str, length: int, tmp_path: Path) -> None:
    """Which the hub works out every second here, and once an hour by default."""
    fetched = RealNights(tmp_path, hub)
    fetched.fetch_until_through()
    since = datetime.now(UTC) - timedelta(days=length)
    active = sum(at is not None and at >= since for _, at in users_landed(fetched))
    assert 0 < active < PEOPLE
    wait_until(lambda: hub.active_users()[period] == active, 30)


def test_from_the_hub_to_monthly_active_users(hub: RealHub, tmp_path: Path) -> None:
    """Raw, staged and facts equal what is worked out here from the hub's own database."""
    fetched = RealNights(tmp_path, hub)
    fetched.fetch_until_through()
    user_days = {(at.date(), key(name)) for name, at in hub.held() if at}
    today = datetime.now(UTC).date()
    as_of = today - timedelta(days=1)
    with counted(tmp_path, fetched.landing, fetched.configured, [PART], as_of) as con:
        raw = con.execute("select date, person_key from raw.hub_activity").fetchall()
        staged = con.execute("select date, person_key from staged.user_days where hub_id = ?", [PART]).fetchall()
        facts = con.execute(
            "select date, dau, mau from facts.active_users where grain = 'organisation' order by date"
        ).fetchall()
        of_the_hub = con.execute(
            "select date, dau, mau from facts.active_users where grain = 'hub' and member = ? order by date", [PART]
        ).fetchall()
        rejected = con.execute("select file, row, reason from raw.quarantine").fetchall()
    assert rejected == []
    assert set(raw) == user_days
    assert Counter(staged) == Counter(user_days)
    # Two spellings of one person, if on one day: fewer people than names.
    assert len({key(name) for name in SPELLINGS.values()}) == len(SPELLINGS) - 1

    def people(first: date, last: date) -> int:
        return len({who for when, who in user_days if first <= when <= last})

    first = min(when for when, _ in user_days)
    days = [first + timedelta(days=n) for n in range((as_of - first).days + 1)]
    expected = [(day, people(day, day), people(day - timedelta(days=29), day)) for day in days]
    assert facts == of_the_hub == expected
    assert expected[-1][2] > 100


def test_no_name_leaves_the_landing_zone(hub: RealHub, tmp_path: Path) -> None:
    fetched = RealNights(tmp_path, hub)
    fetched.fetch_until_through()
    with counted(tmp_path, fetched.landing, fetched.configured, [PART], datetime.now(UTC).date()):
        pass
    content = (tmp_path / "counted.duckdb").read_bytes()
    for name in (*SPELLINGS.values(), "zz-001"):
        assert name.encode() not in content


# --- The fake one


@pytest.fixture
def fake(hub: RealHub) -> FakeJupyterHub:
    """A fake with the users, tokens and limits of the real one."""
    made = FakeJupyterHub()
    made.users = {"prod": [User(name, at) for name, at in hub.held()]}
    made.tokens = {hub.tokens[name]: scopes for name, scopes in TOKENS.items() if name != "admin"}
    made.default_limit, made.max_limit = 50, 200
    return made


LISTS = [
    {},
    {"limit": "3"},
    {"limit": "1000"},
    {"limit": "0"},
    {"limit": "-3"},
    {"limit": "some"},
    {"offset": "some"},
    {"offset": "-2", "limit": "2"},
    {"offset": "199", "limit": "200"},
    {"offset": "398", "limit": "200"},
    {"offset": "1000000"},
    {"sort": "id"},
    {"sort": "-id"},
    {"sort": "name"},
    {"sort": "-name", "limit": "200"},
    {"sort": "last_activity", "limit": "200"},
    {"sort": "-last_activity", "limit": "200"},
    {"sort": "-last_activity", "offset": "199", "limit": "200"},
    {"sort": "-last_activity", "offset": "398", "limit": "200"},
    {"sort": "created"},
]


def comparable(answer: httpx.Response) -> dict[str, Any]:
    """An answer without what differs from hub to hub: where it is, whose the token is, and who is first of equals."""
    body = answer.json()
    if isinstance(body, dict):
        for key in ("name", "token_id"):
            body.pop(key, None)
        if following := body.get("_pagination", {}).get("next"):
            parts = urlsplit(following["url"])
            following["url"] = (parts.path.removeprefix("/prod"), sorted(parse_qsl(parts.query)))
    if "last_activity" in answer.request.url.params.get("sort", ""):
        for user in body["items"]:
            if user.get("last_activity") is None:
                user["name"] = "somebody"
    return {
        "status": answer.status_code,
        "type": answer.headers["content-type"],
        "version": answer.headers["x-jupyterhub-version"],
        "has a date": "date" in answer.headers,
        "body": body,
    }


def assert_alike(hub: RealHub, fake: FakeJupyterHub, path: str, token: str | None, **headers: str) -> dict[str, Any]:
    with served(fake.app) as server, httpx.Client() as client:
        pretended = RealHub(f"{server.url}/prod", hub.folder, hub.tokens, client).get(path, token, **headers)
    real = comparable(hub.get(path, token, **headers))
    assert comparable(pretended) == real
    return real


@pytest.mark.parametrize("query", LISTS, ids=urlencode)
@pytest.mark.parametrize("accept", [PAGINATION, f"application/json, {PAGINATION}", "application/json"])
def test_the_fake_lists_as_the_real_one(hub: RealHub, fake: FakeJupyterHub, query: dict[str, str], accept: str) -> None:
    if accept != PAGINATION and len(query) > 1:
        accept = PAGINATION
    assert_alike(hub, fake, f"/hub/api/users?{urlencode(query)}", "kpis", accept=accept)


@pytest.mark.parametrize("token", [name for name in TOKENS if name != "admin"] + ["unknown", None])
@pytest.mark.parametrize("path", ["/hub/api/", "/hub/api/user", "/hub/api/users?limit=5", "/hub/api/nowhere"])
def test_the_fake_refuses_as_the_real_one(hub: RealHub, fake: FakeJupyterHub, path: str, token: str | None) -> None:
    assert_alike(hub, fake, path, token, accept=PAGINATION)


def test_what_the_connector_relies_on(hub: RealHub, fake: FakeJupyterHub) -> None:
    """Two scopes suffice; an unknown token is a 403; beyond the end there is an empty page with the total."""
    own = assert_alike(hub, fake, "/hub/api/user", "kpis")
    assert own["body"]["scopes"] == ["list:users", "read:users:activity", "read:users:name"]
    assert assert_alike(hub, fake, "/hub/api/users", "unknown")["status"] == 403
    beyond = assert_alike(hub, fake, "/hub/api/users?offset=100000", "kpis", accept=PAGINATION)["body"]
    assert beyond["items"] == []
    assert beyond["_pagination"]["total"] == len(hub.held())
    # Of a token that is limited to some users the list looks whole.
    limited = assert_alike(hub, fake, "/hub/api/users", "one", accept=PAGINATION)["body"]
    assert limited["_pagination"]["total"] == len(limited["items"]) == 1


# --- What kpi doctor says


def examined(hub: RealHub, token: str) -> list[tuple[str, str]]:
    clock = TurnedClock(datetime.now(UTC))
    tools = Tools(lambda _name, _purpose: SecretStr(hub.tokens.get(token, "zz-unknown")), clock, LIMITS)
    with closing(connector("hub_activity", Asked(hub).settings(hub.url), tools)) as asked:
        return [(seen.state, seen.words) for seen in asked.examine(fetching.Glance(clock.now(), Budget(clock)))]


def test_examined_with_the_right_token(hub: RealHub) -> None:
    held = hub.held()
    newest = max(at for _, at in held if at)
    words = (
        f"{PART}: JupyterHub 6.1.1; the token is valid and its scopes suffice; {len(held)} user(s), "
        f"the newest activity on {newest:%Y-%m-%d %H:%M} UTC"
    )
    assert examined(hub, "kpis") == [("ok", words)]


@pytest.mark.parametrize(
    ("token", "words"),
    [
        ("unknown", "got status 403: the hub doesn't know the token, or it has expired"),
        ("names", "got a token without read:users:activity; expected one with the scopes list:users and read:users"),
        ("narrow", "got a token without list:users;"),
        ("one", "got a token without list:users for all users;"),
        ("one-activity", "got a token without read:users:activity for all users;"),
    ],
)
def test_examined_with_a_token_that_does_not_do(hub: RealHub, token: str, words: str) -> None:
    ((state, said),) = examined(hub, token)
    assert state == "problem"
    assert words in said
    assert "zz-" not in said


def test_examined_with_a_token_that_may_do_more(hub: RealHub) -> None:
    (state, _), (more, said) = examined(hub, "admin")
    assert (state, more) == ("ok", "note")
    assert "the token may do more than it needs (admin:auth_state, admin:users, delete:users, ...)" in said


# --- The hub itself


STARTS = """
import sys, time
from pathlib import Path
from kpi_pipeline_tests.live.real_jupyterhub import running
with running(Path(sys.argv[1])) as hub:
    print(hub.url, flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=["interrupted", "killed"])
def test_hub_and_proxy_end_with_who_started_them(how: signal.Signals, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", STARTS, str(tmp_path)],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        url = urlsplit(process.stdout.readline().strip())
        assert len(_processes_in(tmp_path)) >= 4
        process.send_signal(how)
        process.wait(30)
        wait_until(lambda: not _listens(url.port or 0), 30)
        wait_until(lambda: not _processes_in(tmp_path), 30)
    finally:
        process.kill()
        process.wait()


def test_both_listen_on_loopback_only(hub: RealHub) -> None:
    found: dict[int, list[str]] = {port: [] for port in hub.ports}
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *_ = line.split()
            address, port = local.split(":")
            if state == LISTENING and int(port, 16) in found:
                found[int(port, 16)].append(address)
    assert found == {port: [LOOPBACK] for port in hub.ports}


# As the kernel writes them: the state, and 127.0.0.1.
LISTENING, LOOPBACK = "0A", "0100007F"


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _processes_in(folder: Path) -> list[str]:
    """Processes whose working directory it is."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "cwd").readlink() == folder:
                found.append(entry.name)
        except OSError:
            continue
    return found
