"""GitHub, from landed pages to facts: objects into raw (logins become keys), then issues, deployments, contributions.

What belongs here: which part of an answer is which column, and the order of steps. Set logic is in sql/.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import duckdb
import polars as pl
from pydantic import SecretStr

from kpi_pipeline import identity
from kpi_pipeline.contracts import RECORDS, table
from kpi_pipeline.errors import ConfigError
from kpi_pipeline.fingerprint import fingerprint
from kpi_pipeline.landing import TORN_GZIP, LandedFile, Landing, content_of
from kpi_pipeline.settings.sources import Deployments, GitHub, Mapped, Priority
from kpi_pipeline.sources import github_to_sqlite
from kpi_pipeline.stages.raw import Loaded
from kpi_pipeline.warehouse import Connection, fill, quote, run, scalar, sql, transaction

SOURCE = "github"
# How much text one statement takes, and how many pages are unpacked at a time.
BATCH_BYTES = 32 << 20
READ_AT_ONCE = 64
REJECT_REASONS = {
    "suffix": "unsupported_format",
    "place": "unknown_stream",
    "encoding": "not_utf8",
    "gzip": "truncated",
    "database": "not_github_to_sqlite",
}
# Where each stream's answers hold what; `actor` and `assignee` are accounts, with login and type.
WHEN = {"happened_at": "$.created_at", "updated_at": "$.updated_at"}
EVENT = {
    "id": "$.id",
    "event": "$.event",
    "happened_at": "$.created_at",
    "updated_at": "$.updated_at",
    "reason": "$.state_reason",
    "label": "$.label.name",
    "actor": "$.actor",
    "assignee": "$.assignee",
}
PATHS: dict[str, dict[str, str]] = {
    "issues": {
        **WHEN,
        "id": "$.id",
        "number": "$.number",
        "state": "$.state",
        "reason": "$.state_reason",
        "ended_at": "$.closed_at",
        "actor": "$.user",
    },
    "events": {**EVENT, "number": "$.issue.number"},
    "timeline": EVENT,
    "pulls": {
        **WHEN,
        "id": "$.id",
        "number": "$.number",
        "state": "$.state",
        "ended_at": "$.merged_at",
        "actor": "$.user",
    },
    "reviews": {"id": "$.id", "state": "$.state", "happened_at": "$.submitted_at", "actor": "$.user"},
    "releases": {"id": "$.id", "happened_at": "$.published_at", "actor": "$.author"},
    "deployments": {**WHEN, "id": "$.id", "environment": "$.environment", "actor": "$.creator"},
    "statuses": {**WHEN, "id": "$.id", "state": "$.state", "actor": "$.creator"},
    "runs": {**WHEN, "id": "$.id", "state": "$.conclusion", "actor": "$.actor"},
}
ACCOUNTS = ("actor", "assignee")
# Of the many kinds of events, those that the facts are made of; the others stay in the landing zone.
EVENTS = ("closed", "reopened", "assigned", "unassigned", "labeled", "unlabeled", "transferred", "deleted", "commented")
IS_EVENT = ("events", "timeline")
PULL_REQUEST = {"issues": "$.pull_request", "events": "$.issue.pull_request"}
NUMBER_IS_IN_THE_PATH = ("timeline", "reviews", "statuses")
# What isn't one yet: a draft of a release, a review that nobody but its author sees. Neither is a fault.
NOT_YET = {"releases": ("$.draft", "true"), "reviews": ("$.state", "PENDING")}
# Answers that say all by name, status and time: of an issue that was asked for and isn't there, and whose name it is.
GONE, REPOSITORY = "gone", "repository"
SAID_BY_NAME = re.compile(rf"(?P<repository>[^/]+/[^/]+)/(?P<stream>{GONE}|{REPOSITORY})/(?P<number>[0-9]+)\.json")
LEFT_HOW = {301: "transferred_out", 404: "deleted", 410: "deleted"}
# Where an issue names the hub that it asks for; nothing else of these texts is taken.
NAMES_HUB = {"issues": ("$.title", "$.body")}
BATCH = {
    "_file": pl.String,
    "repository": pl.String,
    "stream": pl.String,
    "place_number": pl.Int64,
    "content": pl.String,
    "fault": pl.String,
}
FILES: dict[str, Any] = {"file": pl.String, "fetched_at": pl.Datetime("us"), "answered_at": pl.Datetime("us")}
STAGED = ("github_objects", "issues")
FACTS = (
    "issue_flows", "issue_open", "issue_assigned", "issue_labels", "upstream_contributions",
    "deployments", "hub_requests", "hub_request_waits", "technical_issues",
)  # fmt: skip
# Facts that follow one from the other: what can't be used goes to quarantine in between.
DEPLOYMENT_FACTS = ("deployments", "hub_requests", "hub_request_waits")
PASSING = (
    "github_incoming", "github_names", "github_repeated", "github_versions", "github_repositories", "github_places",
    "github_bots", "issue_events", "issue_toggles", "deployment_statuses", "hub_request_issues",
    "issue_rules", "issues_gone", "github_files", "github_renamed",
)  # fmt: skip
EVERY_ISSUE = Mapped(repositories=("*",))


@dataclass(frozen=True)
class Page:
    """A landed page, and what its path says of it."""

    file: LandedFile
    repository: str
    stream: str
    number: int | None


def load(con: Connection, landing: Landing, secret: SecretStr | None, names_hub: str | None = None) -> Loaded:
    """Brings raw.github up to date with the landing zone, in one transaction.

    Args:
        secret: key of every person_key; None: the source isn't connected, and holds nothing.
        names_hub: the pattern by which an issue names a hub; with another one, files are read again.
    """
    files = landing.files(SOURCE, "log") if secret else []
    person = identity.secret_fingerprint(secret) if secret else ""
    keying = fingerprint(RECORDS[SOURCE].version, PATHS, EVENTS, person, names_hub or "")
    if names_hub:
        _check_pattern(con, "hub_requests.names", names_hub)
    before = dict(run(con, "select file, (sha256, keying) from raw.loads where source = $s", {"s": SOURCE}))
    changed = [f for f in files if before.get(f.name) != (f.sha256, _keying(f, keying))]
    gone = sorted(set(before) - {f.name for f in files})
    result = Loaded(files=len(changed), removed=len(gone))
    # Pages are read before the transaction, as other sources' files are.
    if changed and secret:
        _read(con, landing, changed, names_hub)
        _add_keys(con, secret)
    with transaction(con):
        _forget(con, [f.name for f in changed] + gone)
        if changed:
            _store(con, changed, keying, result)
    _drop(con)
    result.rows = scalar(con, "select count(*) from raw.github")
    return result


def _keying(file: LandedFile, keying: str) -> str:
    """What a file was loaded by; where its time is all it says, that too."""
    return f"{keying} {file.fetched_at.isoformat()}" if GONE in file.name.split("/") else keying


def _drop(con: Connection) -> None:
    run(con, "drop view if exists temp.github_current")
    for name in PASSING:
        run(con, f"drop table if exists temp.{name}")


def _forget(con: Connection, files: Sequence[str]) -> None:
    # A table and no list: pages are many, and each row would be compared with all of them.
    con.register("github_forgotten", pl.DataFrame({"file": files}, schema={"file": pl.String}).to_arrow())
    run(con, "delete from raw.github where _file in (select file from github_forgotten)")
    for name in ("raw.quarantine", "raw.loads"):
        run(con, f"delete from {name} where source = $s and file in (select file from github_forgotten)", {"s": SOURCE})
    con.unregister("github_forgotten")


def _read(con: Connection, landing: Landing, files: Sequence[LandedFile], names_hub: str | None) -> None:
    known = [c for c in RECORDS[SOURCE].columns if c.type != "UUID"]
    types = ", ".join(f"{quote(c.name)} {'TIMESTAMP' if c.type == 'TIMESTAMPTZ' else c.type}" for c in known)
    run(
        con,
        f"create or replace temp table github_incoming ({types}, actor varchar, assignee varchar, "
        "_file varchar, _row bigint, _reason varchar)",
    )
    pages: dict[str, list[Page]] = {stream: [] for stream in PATHS}
    faults: list[tuple[str, str]] = []
    gone: list[tuple[Any, ...]] = []
    for file in files:
        if said := _said_by_name(file):
            stream, repository, number = said
            if stream == GONE and file.status in LEFT_HOW:
                gone.append((file.name, repository, GONE, number, number, LEFT_HOW[file.status], _utc(file.fetched_at)))
        elif file.name.endswith(github_to_sqlite.SUFFIXES):
            if not _read_database(con, landing, file):
                faults.append((file.name, REJECT_REASONS["database"]))
        elif not file.name.removesuffix(".gz").endswith(".json"):
            faults.append((file.name, REJECT_REASONS["suffix"]))
        elif page := _page(file):
            pages[page.stream].append(page)
        else:
            faults.append((file.name, REJECT_REASONS["place"]))
    con.register("github_faults", pl.DataFrame(faults, schema=["_file", "_reason"], orient="row").to_arrow())
    run(con, "insert into temp.github_incoming by name select * from github_faults")
    con.unregister("github_faults")
    columns = ["_file", "repository", "stream", "id", "number", "event", "happened_at"]
    if gone:
        con.register("github_gone", pl.DataFrame(gone, schema=columns, orient="row").to_arrow())
        run(con, "insert into temp.github_incoming by name select *, 1 as _row from github_gone")
        con.unregister("github_gone")
    for stream in PATHS:
        takes_hub = names_hub is not None and stream in NAMES_HUB
        statement, structure = _insert_statement(stream, takes_hub), json.dumps([_structure(stream, takes_hub)])
        bound = {"structure": structure, **(_hub_groups(names_hub) if names_hub and takes_hub else {})}
        for batch in _batches(landing, pages[stream]):
            con.register("github_batch", batch.to_arrow())
            run(con, statement, bound)
            con.unregister("github_batch")


def _read_database(con: Connection, landing: Landing, file: LandedFile) -> bool:
    """The rows of a github-to-sqlite database, which has no events; whether it is one."""
    try:
        rows = github_to_sqlite.read(content_of(landing.path(SOURCE, file), file.encoding == "gzip"))
    except (ValueError, *TORN_GZIP):
        return False
    types = dict.fromkeys(github_to_sqlite.FIELDS, pl.String) | {"_row": pl.Int64, "is_pull_request": pl.Boolean}
    con.register("github_rows", pl.DataFrame(rows, schema=types).to_arrow())
    run(con, "insert into temp.github_incoming by name " + sql("stages", "github_to_sqlite"), {"file": file.name})
    con.unregister("github_rows")
    return True


def _page(file: LandedFile) -> Page | None:
    """A page by its path; None: it lies where no page belongs."""
    parts = file.name.removesuffix(".gz").split("/")
    stream = parts[2] if len(parts) > 3 else ""
    inside = stream in NUMBER_IS_IN_THE_PATH
    if stream not in PATHS or (inside and not (len(parts) > 4 and parts[3].isascii() and parts[3].isdigit())):
        return None
    return Page(file, "/".join(parts[:2]).lower(), stream, int(parts[3]) if inside else None)


def _said_by_name(file: LandedFile) -> tuple[str, str, int] | None:
    """Stream, repository and number of an answer that says all by its name; a file that was dropped says nothing so."""
    if file.status is None or not (found := SAID_BY_NAME.fullmatch(file.name)):
        return None
    return found["stream"], found["repository"].lower(), int(found["number"])


def _utc(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(tzinfo=None)


def _batches(landing: Landing, pages: Sequence[Page]) -> Iterator[pl.DataFrame]:
    """Pages of one stream with their text, as many at once as fit, in parts that DuckDB's threads share out."""
    parts: list[pl.DataFrame] = []
    size = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(pages), READ_AT_ONCE):
            rows = list(pool.map(lambda page: _text(landing, page), pages[start : start + READ_AT_ONCE]))
            parts.append(pl.DataFrame(rows, schema=BATCH, orient="row"))
            size += sum(len(row[-2] or "") for row in rows)
            if size > BATCH_BYTES:
                yield pl.concat(parts, rechunk=False)
                parts, size = [], 0
        if parts:
            yield pl.concat(parts, rechunk=False)


def _text(landing: Landing, page: Page) -> tuple[Any, ...]:
    """A row of BATCH: a page's text, or what is wrong with the file."""
    file = page.file
    text, fault = None, None
    try:
        packed = file.encoding == "gzip" or file.name.endswith(".gz")
        text = content_of(landing.path(SOURCE, file), packed).decode("utf-8-sig")
    except UnicodeDecodeError:
        fault = REJECT_REASONS["encoding"]
    except TORN_GZIP:
        fault = REJECT_REASONS["gzip"]
    return file.name, page.repository, page.stream, page.number, text, fault


def _structure(stream: str, takes_hub: bool) -> dict[str, Any]:
    """What of a stream's objects is taken, as json_transform wants it: nested, and each leaf as JSON."""
    structure: dict[str, Any] = {}
    for path in _taken(stream, takes_hub):
        *outer, leaf = path.split(".")[1:]
        inside = structure
        for key in outer:
            inside = inside.setdefault(key, {})
        inside[leaf] = "JSON"
    return structure


def _taken(stream: str, takes_hub: bool) -> list[str]:
    accounts = [
        f"{PATHS[stream][name]}.{key}" for name in ACCOUNTS if name in PATHS[stream] for key in ("login", "type")
    ]
    plain = [path for name, path in PATHS[stream].items() if name not in ACCOUNTS]
    pull_request = [PULL_REQUEST[stream]] if stream in PULL_REQUEST else []
    not_yet = [NOT_YET[stream][0]] if stream in NOT_YET else []
    return [*plain, *accounts, *pull_request, *not_yet, *(NAMES_HUB[stream] if takes_hub else ())]


def _field(path: str) -> str:
    """SQL for the JSON at a path of an object."""
    return f"object.{quote(path.removeprefix('$.'))}"


def _insert_statement(stream: str, takes_hub: bool) -> str:
    """Objects of one stream to columns; the first thing that is wrong with one becomes its reason."""
    paths = PATHS[stream]
    reasons = [
        ("not_an_object", "kind <> 'OBJECT'"),
    ]
    chosen = {}
    for column in RECORDS[SOURCE].columns:
        if column.name in paths:
            given = _field(paths[column.name])
            kinds = "'UBIGINT', 'BIGINT'" if column.type == "BIGINT" else "'VARCHAR'"
            value = f"nullif(trim({given} ->> '$'), '')"
            if column.type == "TIMESTAMPTZ":
                value = f"(try_cast({value} as timestamptz) at time zone 'UTC')"
            elif column.type == "BIGINT":
                value = f"try_cast({value} as bigint)"
            reasons.append((f"wrong_type:{column.name}", f"json_type({given}) not in ({kinds}, 'NULL')"))
            if column.name in _needed(stream):
                reasons.append((f"missing:{column.name}", f"coalesce(trim({given} ->> '$'), '') = ''"))
            reasons.append((f"invalid:{column.name}", f"{given} ->> '$' <> '' and {value} is null"))
            chosen[column.name] = value
    for account in ACCOUNTS:
        if account in paths:
            login, kind = (_field(f"{paths[account]}.{key}") for key in ("login", "type"))
            reasons.append((f"wrong_type:{account}", f"json_type({login}) not in ('VARCHAR', 'NULL')"))
            chosen[account] = f"nullif(trim({login} ->> '$'), '')"
            chosen[f"{account}_is_bot"] = f"coalesce({kind} ->> '$', '') = 'Bot'"
    kept = "true"
    if stream in IS_EVENT:
        names = ", ".join(f"'{name}'" for name in EVENTS)
        event = _field(paths["event"])
        # One that isn't text is a fault, and no kind that we leave aside.
        kept = f"({event} ->> '$' in ({names}) or json_type({event}) is distinct from 'VARCHAR')"
        for what, pair in (("assignee", "'assigned', 'unassigned'"), ("label", "'labeled', 'unlabeled'")):
            reasons.append((f"missing:{what}", f"{event} ->> '$' in ({pair}) and {chosen[what]} is null"))
    if stream in NOT_YET:
        path, value = NOT_YET[stream]
        kept = f"coalesce({_field(path)} ->> '$', '') <> '{value}'"
    if stream in NUMBER_IS_IN_THE_PATH:
        chosen["number"] = "place_number"
    if takes_hub:
        named = (
            f"nullif(regexp_extract({_field(path)} ->> '$', $pattern, $cluster_group), '') || '/' || "
            f"nullif(regexp_extract({_field(path)} ->> '$', $pattern, $hub_group), '')"
            for path in NAMES_HUB[stream]
        )
        chosen["names_hub"] = f"lower(coalesce({', '.join(named)}))"
    if stream in PULL_REQUEST:
        chosen["is_pull_request"] = f"coalesce(json_type({_field(PULL_REQUEST[stream])}), 'NULL') <> 'NULL'"
    case = " ".join(f"when {condition} then '{reason}'" for reason, condition in reasons)
    parts = ", ".join(f"{value} as {quote(name)}" for name, value in chosen.items())
    return (
        f"insert into temp.github_incoming by name select _file, _row, repository, stream, {parts}, "
        f"coalesce(page_reason, case {case} end) as _reason "
        f"from ({sql('stages', 'github_pages')}) where page_reason is not null or {kept}"
    )


def _hub_groups(pattern: str) -> dict[str, object]:
    """A pattern that names a hub, with the places of its groups."""
    groups = re.compile(pattern).groupindex
    return {"pattern": pattern, "cluster_group": groups["cluster"], "hub_group": groups["hub"]}


def _check_pattern(con: Connection, name: str, pattern: str) -> None:
    try:
        run(con, "select regexp_extract('', $pattern, 1)", {"pattern": pattern})
    except duckdb.Error as error:
        raise ConfigError(
            f"kpi.toml: sources.github.{name}",
            got=repr(pattern),
            expected="a regular expression in RE2's syntax, which has no look-around and no back references",
            fix="Write the pattern without them.",
        ) from error


def _needed(stream: str) -> tuple[str, ...]:
    return {
        "issues": ("id", "number", "state", "happened_at", "updated_at"),
        "events": ("id", "event", "number", "happened_at"),
        "timeline": ("id", "event", "happened_at"),
        "pulls": ("id", "number", "happened_at", "updated_at"),
        "deployments": ("id", "environment", "happened_at"),
    }.get(stream, ("id", "happened_at"))


def _add_keys(con: Connection, secret: SecretStr) -> None:
    """A table temp.github_names (username, normalised, issuer, person_key) of the logins that came in."""
    run(
        con,
        "create or replace temp table github_names as select distinct unnest([actor, assignee]) as username, "
        "null::varchar as normalised, 'github' as issuer, null::uuid as person_key from temp.github_incoming "
        "where _reason is null",
    )
    run(con, "delete from temp.github_names where username is null")
    identity.add_normalised_names(con, "temp.github_names")
    key, pads = identity.key_expression(secret)
    run(con, f"update temp.github_names set person_key = {key} where normalised <> ''", pads)


def _store(con: Connection, files: Sequence[LandedFile], keying: str, result: Loaded) -> None:
    fill(
        con,
        table("raw.github"),
        "select i.* exclude (actor, assignee, _reason), a.person_key as actor_key, b.person_key as assignee_key "
        "from temp.github_incoming i left join temp.github_names a on a.username = i.actor "
        "left join temp.github_names b on b.username = i.assignee where i._reason is null",
    )
    fill(
        con,
        table("raw.quarantine"),
        "select $s as source, _file as file, _row as row, _reason as reason, 'raw' as stage, "
        "happened_at::date as date from temp.github_incoming where _reason is not null",
        {"s": SOURCE},
    )
    rejected = "select _reason, count(*) from temp.github_incoming where _reason is not null group by all"
    result.rejected.update(dict(run(con, rejected)))
    rows = dict(run(con, "select _file, count(*) from temp.github_incoming where _reason is null group by all"))
    loads = pl.DataFrame(
        [(SOURCE, f.name, f.sha256, _keying(f, keying), rows.get(f.name, 0)) for f in files],
        schema=[c.name for c in table("raw.loads").columns],
        orient="row",
    )
    con.register("github_loads", loads.to_arrow())
    fill(con, table("raw.loads"), "select * from github_loads")
    con.unregister("github_loads")


def stage(con: Connection, landing: Landing, rules: GitHub | None, secret: SecretStr | None) -> None:
    """Rebuilds what is staged and the facts from raw, in one transaction; the same raw always gives the same.

    Args:
        landing: says when each file of raw was fetched.
    """
    with transaction(con):
        _put_files(con, landing.files(SOURCE, "log") if rules else [])
        for name in (*(f"staged.{t}" for t in STAGED), *(f"facts.{t}" for t in FACTS)):
            run(con, f"truncate {name}")
        run(con, "delete from raw.quarantine where source = 'github' and stage = 'staged'")
        run(con, "create or replace temp view github_current as " + sql("stages", "github_current"))
        _place(con, rules, secret)
        run(con, "create or replace temp table github_repeated as " + sql("stages", "github_repeated"))
        run(con, "create or replace temp table github_versions as " + sql("stages", "github_versions"))
        _quarantine(con, "select _file, _row, 'conflicting_duplicate' as reason, happened_at from temp.github_versions "
                         "where is_conflict")  # fmt: skip
        fill(con, table("staged.github_objects"), sql("stages", "github_objects"))
        _stage_issues(con)
        for name in FACTS:
            if name not in DEPLOYMENT_FACTS:
                fill(con, table(f"facts.{name}"), sql("stages", name))
        _stage_deployments(con, rules)
    _drop(con)


def _stage_issues(con: Connection) -> None:
    _quarantine(con, sql("stages", "issues_that_end_early"))
    run(con, "create or replace temp table issues_gone as " + sql("stages", "issues_gone"))
    fill(con, table("staged.issues"), sql("stages", "issues"))
    run(con, "create or replace temp table issue_events as " + sql("stages", "issue_events"))
    _quarantine(con, "select _file, _row, reason, happened_at from temp.issue_events where reason is not null")
    run(con, "create or replace temp table issue_toggles as " + sql("stages", "issue_toggles"))


def _stage_deployments(con: Connection, rules: GitHub | None) -> None:
    """Deployments with their first terminal state, and the requests for hubs; both name hubs of the registry."""
    deployments = rules.deployments if rules else Deployments()
    _check_pattern(con, "deployments.environment", deployments.environment)
    production = [glob.lower() for glob in deployments.production]
    bound = {**_hub_groups(deployments.environment), "production": production}
    unusable = "select _file, _row, reason, happened_at from temp.{} where reason is not null"
    run(con, "create or replace temp table deployment_statuses as " + sql("stages", "deployment_statuses"))
    _quarantine(con, unusable.format("deployment_statuses"))
    fill(con, table("facts.deployments"), sql("stages", "deployments"), bound)
    asked = rules.hub_requests if rules else None
    labels = {
        "request": asked.label.lower() if asked else None,
        "complete": asked.complete.lower() if asked and asked.complete else None,
        "waiting": [label.lower() for label in asked.waiting] if asked else [],
    }
    run(con, "create or replace temp table hub_request_issues as " + sql("stages", "hub_request_issues"), labels)
    _quarantine(con, unusable.format("hub_request_issues"))
    for name in ("hub_requests", "hub_request_waits"):
        fill(con, table(f"facts.{name}"), sql("stages", name), labels)


def _quarantine(con: Connection, select: str) -> None:
    fill(
        con,
        table("raw.quarantine"),
        "select 'github' as source, _file as file, _row as row, reason, 'staged' as stage, "
        f"happened_at::date as date from ({select})",
    )


def _put_files(con: Connection, files: Sequence[LandedFile]) -> None:
    """Temporary tables: when each file was fetched, and the present name of repositories that had another one."""
    frame = pl.DataFrame([(f.name, _utc(f.fetched_at), _answered_at(f)) for f in files], schema=FILES, orient="row")
    con.register("github_file_rows", frame.to_arrow())
    run(con, "create or replace temp table github_files as select * from github_file_rows")
    con.unregister("github_file_rows")
    run(con, "create or replace temp table github_renamed (repository varchar, name varchar)")
    if renamed := _renamed(files):
        con.executemany("insert into temp.github_renamed values (?, ?)", renamed)


def _answered_at(file: LandedFile) -> datetime | None:
    """When GitHub gave an answer, by its own clock; a file that was dropped doesn't say."""
    try:
        return _utc(parsedate_to_datetime((file.headers or {})["date"])) if file.status is not None else None
    except (KeyError, ValueError):
        return _utc(file.fetched_at)


def _renamed(files: Sequence[LandedFile]) -> list[tuple[str, str]]:
    """Repositories under names that they had, each with its present one: the name under which it was fetched last."""
    names: dict[int, list[tuple[datetime, str]]] = {}
    for file in files:
        said = _said_by_name(file)
        if said and said[0] == REPOSITORY:
            names.setdefault(said[2], []).append((file.fetched_at, said[1]))
    return sorted(
        (name, max(fetched)[1]) for fetched in names.values() for _, name in fetched if name != max(fetched)[1]
    )


def _place(con: Connection, rules: GitHub | None, secret: SecretStr | None) -> None:
    """Temporary tables: whose each repository is, what an issue is of, and who is a bot by the reviewed list."""
    teams = rules.teams.items() if rules else ()
    globs = [(glob.lower(), name) for name, mapped in teams for glob in mapped.repositories]
    run(
        con,
        "create or replace temp table github_repositories as " + sql("stages", "github_repositories"),
        {
            "own": [glob.lower() for glob in rules.own] if rules else [],
            "team_globs": [glob for glob, _ in globs],
            "team_names": [name for _, name in globs],
        },
    )
    found = _issue_rules(rules) if rules else []
    run(
        con,
        "create or replace temp table issue_rules as select unnest(rules, recursive := true) from (select "
        "$rules::struct(dimension varchar, place bigint, name varchar, agreed_seconds bigint, by_repository boolean, "
        "pattern varchar)[] as rules)",
        {"rules": found},
    )
    keys = [str(identity.person_key(secret, "github", login)) for login in rules.bots] if rules and secret else []
    run(
        con,
        "create or replace temp table github_bots as select unnest($keys::varchar[])::uuid as person_key",
        {"keys": keys},
    )


def _issue_rules(rules: GitHub) -> list[dict[str, object]]:
    """What labels and repositories say of an issue: a rule per glob, in the order of kpi.toml."""
    dimensions: dict[str, Mapping[str, Mapped]] = {
        "technical": {"technical": rules.technical or EVERY_ISSUE},
        "team": rules.teams,
        "area": rules.areas,
        "kind": rules.kinds,
        "priority": rules.priorities,
    }
    return [
        {
            "dimension": dimension,
            "place": place,
            "name": " ".join(name.lower().split()),
            "agreed_seconds": int(mapped.hours * 3600) if isinstance(mapped, Priority) and mapped.hours else None,
            "by_repository": by_repository,
            "pattern": glob.lower(),
        }
        for dimension, names in dimensions.items()
        for place, (name, mapped) in enumerate(names.items())
        for by_repository, globs in ((False, mapped.labels), (True, mapped.repositories))
        for glob in globs
    ]
