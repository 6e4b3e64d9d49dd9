"""GitHub, from landed pages to facts: objects into raw (logins become keys), then issues, deployments, contributions.

What belongs here: which part of an answer is which column, and the order of steps. Set logic is in sql/.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

import duckdb
import polars as pl
from pydantic import SecretStr

from kpi_pipeline import identity
from kpi_pipeline.contracts import RECORDS, table
from kpi_pipeline.contracts.github import STREAMS
from kpi_pipeline.errors import ConfigError
from kpi_pipeline.fingerprint import fingerprint
from kpi_pipeline.landing import TORN_GZIP, LandedFile, Landing, unpacked
from kpi_pipeline.settings import Deployments, GitHub, Mapped, Priority
from kpi_pipeline.sources import github_to_sqlite
from kpi_pipeline.stages.raw import Loaded
from kpi_pipeline.warehouse import Connection, fill, quote, run, scalar, sql, transaction

SOURCE = "github"
BATCH_BYTES = 32 << 20
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
# Where an issue names the hub that it asks for; nothing else of these texts is taken.
NAMES_HUB = {"issues": ("$.title", "$.body")}
STAGED = ("github_objects", "issues")
FACTS = (
    "issue_flows", "issue_open", "issue_assigned", "issue_labels", "upstream_contributions",
    "deployments", "hub_requests", "hub_request_waits", "technical_issues",
)  # fmt: skip
# Facts that follow one from the other: what can't be used goes to quarantine in between.
DEPLOYMENT_FACTS = ("deployments", "hub_requests", "hub_request_waits")
PASSING = (
    "github_pages", "github_places", "github_incoming", "github_names", "github_versions", "github_repositories",
    "github_bots", "issue_events", "issue_toggles", "deployment_statuses", "hub_request_issues",
    "issue_rules",
)  # fmt: skip
EVERY_ISSUE = Mapped(repositories=("*",))


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
    changed = [f for f in files if before.get(f.name) != (f.sha256, keying)]
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


def _drop(con: Connection) -> None:
    for name in PASSING:
        run(con, f"drop table if exists temp.{name}")


def _forget(con: Connection, files: Sequence[str]) -> None:
    chosen = {"files": list(files), "s": SOURCE}
    run(con, "delete from raw.github where list_contains($files, _file)", chosen)
    run(con, "delete from raw.quarantine where source = $s and list_contains($files, file)", chosen)
    run(con, "delete from raw.loads where source = $s and list_contains($files, file)", chosen)


def _read(con: Connection, landing: Landing, files: Sequence[LandedFile], names_hub: str | None) -> None:
    columns = [c for c in RECORDS[SOURCE].columns if c.type != "UUID"]
    types = ", ".join(f"{quote(c.name)} {'TIMESTAMP' if c.type == 'TIMESTAMPTZ' else c.type}" for c in columns)
    run(
        con,
        f"create or replace temp table github_incoming ({types}, actor varchar, assignee varchar, "
        "_file varchar, _row bigint, _reason varchar)",
    )
    databases = [file for file in files if file.name.endswith(github_to_sqlite.SUFFIXES)]
    for file in databases:
        _read_database(con, landing, file)
    for batch in _batches(landing, [file for file in files if file not in databases]):
        con.register("github_batch", batch.to_arrow())
        run(con, "create or replace temp table github_pages as " + sql("stages", "github_pages"))
        con.unregister("github_batch")
        run(con, "insert into temp.github_incoming by name select _file, _reason from temp.github_pages "
                 "where _reason is not null")  # fmt: skip
        for stream in STREAMS:
            bound = {"stream": stream, **_hub_groups(names_hub)} if names_hub else {"stream": stream}
            run(con, _insert_statement(stream, names_hub is not None), bound)


def _read_database(con: Connection, landing: Landing, file: LandedFile) -> None:
    """The rows of a github-to-sqlite database; it has no events."""
    try:
        with unpacked(landing.path(SOURCE, file), file.encoding == "gzip") as content:
            rows = github_to_sqlite.read(content.read())
    except (ValueError, *TORN_GZIP):
        run(
            con,
            "insert into temp.github_incoming by name select $file as _file, $reason as _reason",
            {"file": file.name, "reason": REJECT_REASONS["database"]},
        )
        return
    types = dict.fromkeys(github_to_sqlite.FIELDS, pl.String) | {"_row": pl.Int64, "is_pull_request": pl.Boolean}
    con.register("github_rows", pl.DataFrame(rows, schema=types).to_arrow())
    run(con, "insert into temp.github_incoming by name " + sql("stages", "github_to_sqlite"), {"file": file.name})
    con.unregister("github_rows")


def _batches(landing: Landing, files: Sequence[LandedFile]) -> Iterator[pl.DataFrame]:
    """Pages with their text, as many at once as fit."""
    rows: list[dict[str, object]] = []
    size = 0
    for file in files:
        rows.append(_page(landing, file))
        size += file.bytes
        if size > BATCH_BYTES:
            yield _frame(rows)
            rows, size = [], 0
    if rows:
        yield _frame(rows)


def _frame(rows: list[dict[str, object]]) -> pl.DataFrame:
    text = dict.fromkeys(("_file", "repository", "stream", "content", "fault"), pl.String)
    return pl.DataFrame(rows, schema={**text, "place_number": pl.Int64})


def _page(landing: Landing, file: LandedFile) -> dict[str, object]:
    """A page's repository, stream and text, or what is wrong with it."""
    parts = file.name.removesuffix(".gz").split("/")
    found: dict[str, object] = {"_file": file.name}
    if not parts[-1].endswith(".json"):
        return {**found, "fault": REJECT_REASONS["suffix"]}
    stream = parts[2] if len(parts) > 3 else ""
    inside = stream in NUMBER_IS_IN_THE_PATH
    if stream not in STREAMS or (inside and not (len(parts) > 4 and parts[3].isascii() and parts[3].isdigit())):
        return {**found, "fault": REJECT_REASONS["place"]}
    found |= {"repository": "/".join(parts[:2]).lower(), "stream": stream}
    found["place_number"] = int(parts[3]) if inside else None
    try:
        with unpacked(landing.path(SOURCE, file), file.encoding == "gzip" or file.name.endswith(".gz")) as content:
            return {**found, "content": content.read().decode("utf-8-sig")}
    except UnicodeDecodeError:
        return {**found, "fault": REJECT_REASONS["encoding"]}
    except TORN_GZIP:
        return {**found, "fault": REJECT_REASONS["gzip"]}


def _insert_statement(stream: str, takes_hub: bool) -> str:
    """Objects of one stream to columns; the first thing that is wrong with one becomes its reason."""
    paths = PATHS[stream]
    reasons = [
        ("not_an_object", "json_type(document) <> 'OBJECT'"),
    ]
    chosen = {}
    for column in RECORDS[SOURCE].columns:
        if column.name in paths:
            path = paths[column.name]
            kinds = "'UBIGINT', 'BIGINT'" if column.type == "BIGINT" else "'VARCHAR'"
            given = f"coalesce(json_type(document, '{path}'), 'NULL')"
            value = f"nullif(trim(document ->> '{path}'), '')"
            if column.type == "TIMESTAMPTZ":
                value = f"(try_cast({value} as timestamptz) at time zone 'UTC')"
            elif column.type == "BIGINT":
                value = f"try_cast({value} as bigint)"
            reasons.append((f"wrong_type:{column.name}", f"{given} not in ({kinds}, 'NULL')"))
            if column.name in _needed(stream):
                reasons.append((f"missing:{column.name}", f"coalesce(trim(document ->> '{path}'), '') = ''"))
            reasons.append((f"invalid:{column.name}", f"document ->> '{path}' <> '' and {value} is null"))
            chosen[column.name] = value
    for account in ACCOUNTS:
        if account in paths:
            login = f"{paths[account]}.login"
            given = f"coalesce(json_type(document, '{login}'), 'NULL')"
            reasons.append((f"wrong_type:{account}", f"{given} not in ('VARCHAR', 'NULL')"))
            chosen[account] = f"nullif(trim(document ->> '{login}'), '')"
            chosen[f"{account}_is_bot"] = f"coalesce(document ->> '{paths[account]}.type', '') = 'Bot'"
    kept = "true"
    if stream in IS_EVENT:
        names = ", ".join(f"'{name}'" for name in EVENTS)
        event = "document ->> '$.event'"
        # One that isn't text is a fault, and no kind that we leave aside.
        kept = f"({event} in ({names}) or json_type(document, '$.event') is distinct from 'VARCHAR')"
        reasons.append(("missing:assignee", f"{event} in ('assigned', 'unassigned') and {chosen['assignee']} is null"))
        reasons.append(("missing:label", f"{event} in ('labeled', 'unlabeled') and {chosen['label']} is null"))
    if stream in NUMBER_IS_IN_THE_PATH:
        chosen["number"] = "place_number"
    if takes_hub and stream in NAMES_HUB:
        named = (
            f"nullif(regexp_extract(document ->> '{path}', $pattern, $cluster_group), '') || '/' || "
            f"nullif(regexp_extract(document ->> '{path}', $pattern, $hub_group), '')"
            for path in NAMES_HUB[stream]
        )
        chosen["names_hub"] = f"lower(coalesce({', '.join(named)}))"
    if stream in PULL_REQUEST:
        chosen["is_pull_request"] = f"coalesce(json_type(document, '{PULL_REQUEST[stream]}'), 'NULL') <> 'NULL'"
    case = " ".join(f"when {condition} then '{reason}'" for reason, condition in reasons)
    parts = ", ".join(f"{value} as {quote(name)}" for name, value in chosen.items())
    return (
        f"insert into temp.github_incoming by name select _file, _row, repository, stream, {parts}, "
        f"case {case} end as _reason from (select * exclude (documents, _reason), unnest(documents) as document, "
        "unnest(range(1, len(documents) + 1)) as _row from temp.github_pages "
        f"where stream = $stream and _reason is null) where {kept}"
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
        [(SOURCE, f.name, f.sha256, keying, rows.get(f.name, 0)) for f in files],
        schema=[c.name for c in table("raw.loads").columns],
        orient="row",
    )
    con.register("github_loads", loads.to_arrow())
    fill(con, table("raw.loads"), "select * from github_loads")
    con.unregister("github_loads")


def stage(con: Connection, rules: GitHub | None, secret: SecretStr | None) -> None:
    """Rebuilds what is staged and the facts from raw, in one transaction; the same raw always gives the same."""
    with transaction(con):
        for name in (*(f"staged.{t}" for t in STAGED), *(f"facts.{t}" for t in FACTS)):
            run(con, f"truncate {name}")
        run(con, "delete from raw.quarantine where source = 'github' and stage = 'staged'")
        _place(con, rules, secret)
        run(con, "create or replace temp table github_versions as " + sql("stages", "github_versions"))
        _quarantine(con, "select _file, _row, 'conflicting_duplicate' as reason, happened_at from temp.github_versions "
                         "where is_conflict")  # fmt: skip
        fill(
            con,
            table("staged.github_objects"),
            "select * exclude (place, is_conflict) from temp.github_versions where place = 1 and not is_conflict",
        )
        _stage_issues(con)
        for name in FACTS:
            if name not in DEPLOYMENT_FACTS:
                fill(con, table(f"facts.{name}"), sql("stages", name))
        _stage_deployments(con, rules)
    _drop(con)


def _stage_issues(con: Connection) -> None:
    _quarantine(con, sql("stages", "issues_that_end_early"))
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
