"""Tickets from raw to facts: newest versions, what doesn't count, first replies, resolutions, waiting, ratings.

The tables are rebuilt whole from raw, so that the order of runs doesn't matter. No text of a ticket ever comes here.
"""

from datetime import UTC

import polars as pl
from pydantic import SecretStr

from kpi_pipeline import identity
from kpi_pipeline.contracts import table
from kpi_pipeline.landing import Landing
from kpi_pipeline.settings.sources import Tickets
from kpi_pipeline.stages.freshdesk import ISSUER, SOURCE
from kpi_pipeline.warehouse import Connection, fill, run, sql, transaction

STAGED = ("staged.tickets", "staged.ticket_messages")
FACTS = ("facts.ticket_waits", "facts.tickets", "facts.ticket_ratings")
TEMPORARY = (
    "ticket_fetches",
    "ticket_versions",
    "newest_tickets",
    "ticket_message_versions",
    "ticket_rating_versions",
)


def stage_tickets(con: Connection, landing: Landing, rules: Tickets, secret: SecretStr | None) -> None:
    """Rebuilds staged and facts of tickets from raw, in one transaction.

    Of versions of one moment that was fetched last counts. Such as contradict each other within one fetch go to
    quarantine, as does what precedes its ticket or has none.
    """
    parameters = _parameters(rules, secret)
    with transaction(con):
        _put_fetches(con, landing)
        _versions(con)
        _quarantine(con)
        for name in (*STAGED, *FACTS):
            run(con, f"truncate {name}")
        fill(con, table("staged.tickets"), sql("stages", "tickets"), parameters)
        fill(con, table("staged.ticket_messages"), sql("stages", "ticket_messages"), parameters)
        fill(con, table("facts.ticket_waits"), sql("stages", "ticket_waits"), parameters)
        fill(con, table("facts.tickets"), sql("stages", "ticket_times"))
        fill(con, table("facts.ticket_ratings"), sql("stages", "ticket_ratings"))
        for name in TEMPORARY:
            run(con, f"drop table temp.{name}")


def _put_fetches(con: Connection, landing: Landing) -> None:
    """Which fetch a file is of. Answers come one after the other: together they are the fetch that landed them."""
    fetches = {
        file.name: manifest.fetched_at if file.part else file.fetched_at
        for manifest in landing.manifests(SOURCE)
        for file in manifest.files
    }
    run(con, "create or replace temp table ticket_fetches (file varchar, fetched_at timestamp)")
    if fetches:
        rows = [(name, at.astimezone(UTC).replace(tzinfo=None)) for name, at in fetches.items()]
        con.register("fetches", pl.DataFrame(rows, schema=["file", "fetched_at"], orient="row").to_arrow())
        run(con, "insert into temp.ticket_fetches select * from fetches")
        con.unregister("fetches")


def _versions(con: Connection) -> None:
    run(con, f"create or replace temp table ticket_versions as {sql('stages', 'ticket_versions')}")
    run(
        con,
        "create or replace temp table newest_tickets as select * from temp.ticket_versions "
        "where not is_contradicted and not is_superseded "
        "qualify row_number() over (partition by id order by updated_at desc, copy) = 1",
    )
    for name in ("ticket_message_versions", "ticket_rating_versions"):
        run(con, f"create or replace temp table {name} as {sql('stages', name)}")


def _quarantine(con: Connection) -> None:
    run(con, "delete from raw.quarantine where source = $source and stage = 'staged'", {"source": SOURCE})
    shown = "$source as source, _file as file, _row as row, 'staged' as stage"
    chosen = (
        f"select {shown}, 'contradicting_versions' as reason, updated_at::date as date from temp.ticket_versions "
        "where is_contradicted",
        f"select {shown}, reason, created_at::date as date from temp.ticket_message_versions where reason is not null",
        f"select {shown}, reason, created_at::date as date from temp.ticket_rating_versions where reason is not null",
    )
    for statement in chosen:
        fill(con, table("raw.quarantine"), statement, {"source": SOURCE})


def _parameters(rules: Tickets, secret: SecretStr | None) -> dict[str, object]:
    """The rules of kpi.toml as lists; tags are compared in lower case."""
    automations = [identity.person_key(secret, ISSUER, str(user)) for user in rules.automations] if secret else []
    return {
        "company_ids": list(rules.companies),
        "company_names": list(rules.companies.values()),
        "tag_ids": [tag.lower() for tag in rules.tags],
        "tag_names": list(rules.tags.values()),
        "product_ids": list(rules.products),
        "product_names": list(rules.products.values()),
        "merged_tags": [tag.lower() for tag in rules.merged_tags],
        "automations": [str(key) for key in automations],
        "waiting_statuses": list(rules.waiting_statuses),
    }
