"""GitHub's records and tables: what an object of a page becomes, and the facts. No SQL that reads or writes data."""

from kpi_pipeline.contracts.columns import FILE, ROW, count
from kpi_pipeline.contracts.model import Column, Record, Table

STREAMS = ("issues", "events", "timeline", "pulls", "reviews", "releases", "deployments", "statuses", "runs", "gone")
REPOSITORY = Column("repository", "VARCHAR", "owner/name, in lower case")
NUMBER = Column("number", "BIGINT", "the issue's number in its repository")

GITHUB = Record(
    "github",
    "Objects of GitHub's REST answers: issues, their events, pull requests, reviews, releases, deployments, runs.",
    "log",
    (
        REPOSITORY,
        Column(
            "stream", "VARCHAR", "the folder that the page lies in; gone: an issue that isn't there", values=STREAMS
        ),
        Column("id", "BIGINT", "the object's id; of an issue that is gone its number"),
        Column("number", "BIGINT", "issue or pull request; of a status: the deployment's id", nullable=True),
        Column("event", "VARCHAR", "of an event: what happened", nullable=True),
        Column("state", "VARCHAR", "state, or conclusion of a run", nullable=True),
        Column("reason", "VARCHAR", "why an issue was closed: state_reason", nullable=True),
        Column("label", "VARCHAR", "the label that was put on or taken off", nullable=True),
        Column("environment", "VARCHAR", "where to a deployment went", nullable=True),
        Column("names_hub", "VARCHAR", "cluster/hub that an issue's title, else its body, names", nullable=True),
        Column("happened_at", "TIMESTAMPTZ", "when it was created, submitted or published"),
        Column("updated_at", "TIMESTAMPTZ", "when it last changed", nullable=True),
        Column("ended_at", "TIMESTAMPTZ", "when it was closed; of a pull request: merged", nullable=True),
        Column("is_pull_request", "BOOLEAN", "the issue is a pull request", nullable=True),
        Column("actor_key", "UUID", "person_key of who did it", nullable=True),
        Column("actor_is_bot", "BOOLEAN", "by the type of that account", nullable=True),
        Column("assignee_key", "UUID", "person_key of who was assigned", nullable=True),
        Column("assignee_is_bot", "BOOLEAN", "by the type of that account", nullable=True),
    ),
    day="happened_at::date",
    may_be_empty=True,
)
AFFILIATIONS = Record(
    "affiliations",
    "Which GitHub accounts belong to the organisation's people, and when.",
    "state",
    (
        Column("login", "VARCHAR", "the account's name on GitHub", personal=True),
        Column("from", "TIMESTAMPTZ", "since when, included; a bare date is midnight UTC"),
        Column("to", "TIMESTAMPTZ", "until when, not included; empty: still", nullable=True),
    ),
    day='"from"::date',
    rules=(("ends_before_it_begins", '"to" < "from"'),),
    issuer="github",
)
UPSTREAM_WORK = Record(
    "upstream_work",
    "Work for upstream projects that is no code, as recorded by hand.",
    "state",
    (
        Column("date", "DATE", "UTC day of the work"),
        Column("project", "VARCHAR", "the upstream project"),
        Column("kind", "VARCHAR", "what kind of work: maintenance, event, mentoring, ..."),
        Column("count", "BIGINT", "how many contributions", unit="contributions"),
        Column("description", "VARCHAR", "what was done; names no person", nullable=True, optional=True),
    ),
    day="date",
    rules=(("negative:count", "count < 0"),),
)
RECORDS = (GITHUB, AFFILIATIONS, UPSTREAM_WORK)

STAGED_AS = {
    "stream": "the folder that the page lies in; events of timeline are in events, and what was said is in comments",
    "id": "the object's id",
}
FLOWS = ("opened", "reopened", "completed", "not_planned", "duplicate", "transferred_in", "transferred_out", "deleted")
OUTCOMES = ("success", "failure", "error")
ISSUE_STATES = ("open", "completed", "not_planned", "duplicate")
TEAM = Column("team", "VARCHAR", "the team that answers for the repository; empty: none is mapped", nullable=True)

TABLES: tuple[Table, ...] = (
    Table(
        "staged.github_objects",
        "Objects of GitHub, each once: the version that was updated last, under its repository's present name.",
        "repository, stream and object",
        ("repository", "stream", "id"),
        (
            *(
                Column(
                    c.name,
                    "TIMESTAMP" if c.type == "TIMESTAMPTZ" else c.type,
                    STAGED_AS.get(c.name, c.description),
                    nullable=c.nullable,
                )
                for c in GITHUB.columns
            ),
            FILE,
            ROW,
        ),
    ),
    Table(
        "staged.issues",
        "Issues of the organisation's own repositories; no pull requests.",
        "issue",
        ("repository", "number"),
        (
            REPOSITORY,
            NUMBER,
            TEAM,
            Column("opened_at", "TIMESTAMP", "when it was created, UTC"),
            Column("closed_at", "TIMESTAMP", "when it was closed, as its newest listing says", nullable=True),
            Column("state", "VARCHAR", "open or closed, as its newest listing says"),
            Column("reason", "VARCHAR", "state_reason, as its newest listing says", nullable=True),
            Column("is_by_bot", "BOOLEAN", "opened by a bot"),
            Column("arrived_at", "TIMESTAMP", "when it was transferred to this repository", nullable=True),
            Column("left_at", "TIMESTAMP", "when it was transferred away or deleted", nullable=True),
            Column("left_how", "VARCHAR", "transferred_out or deleted", nullable=True),
        ),
    ),
    Table(
        "facts.issue_flows",
        "What changed the number of open issues: from events, one by one.",
        "change",
        (),
        (
            REPOSITORY,
            NUMBER,
            TEAM,
            Column("date", "DATE", "UTC day"),
            Column("happened_at", "TIMESTAMP", "UTC"),
            Column("flow", "VARCHAR", "what happened", values=FLOWS),
            Column("is_by_bot", "BOOLEAN", "the issue was opened by a bot"),
        ),
    ),
    Table(
        "facts.issue_open",
        "When an issue was open in its repository.",
        "issue and spell",
        ("repository", "number", "from_at"),
        (
            REPOSITORY,
            NUMBER,
            TEAM,
            Column("from_at", "TIMESTAMP", "opened, reopened or transferred in, UTC, included"),
            Column("to_at", "TIMESTAMP", "closed, transferred away or deleted, UTC; empty: still open", nullable=True),
            Column("ended_by", "VARCHAR", "what ended it", nullable=True, values=FLOWS),
        ),
    ),
    Table(
        "facts.issue_assigned",
        "When at least one human was assigned to an issue; overlapping assignments are one.",
        "issue and spell",
        ("repository", "number", "from_at"),
        (
            REPOSITORY,
            NUMBER,
            Column("from_at", "TIMESTAMP", "UTC, included"),
            Column("to_at", "TIMESTAMP", "UTC; empty: still assigned", nullable=True),
        ),
    ),
    Table(
        "facts.issue_labels",
        "When an issue bore a label.",
        "issue, label and spell",
        ("repository", "number", "label", "from_at"),
        (
            REPOSITORY,
            NUMBER,
            Column("label", "VARCHAR", "the label's name"),
            Column("from_at", "TIMESTAMP", "UTC, included"),
            Column("to_at", "TIMESTAMP", "UTC; empty: still", nullable=True),
        ),
    ),
    Table(
        "facts.technical_issues",
        "Technical issues, state by state, with what labels and repository say; none that was transferred away.",
        "issue and state",
        ("repository", "number", "from_at"),
        (
            REPOSITORY,
            NUMBER,
            Column("opened_at", "TIMESTAMP", "when the issue was created, in whichever repository, UTC"),
            Column("state", "VARCHAR", "open, or why it was closed", values=ISSUE_STATES),
            Column("from_at", "TIMESTAMP", "since when, UTC, included"),
            Column("to_at", "TIMESTAMP", "until when, UTC; empty: still", nullable=True),
            count("open_seconds", "how long it had been open before this state began", "s"),
            Column("team", "VARCHAR", "the team that answers for it, in lower case; empty: none", nullable=True),
            Column("teams", "VARCHAR[]", "the team, and what it is part of"),
            Column("area", "VARCHAR", "what it is about, in lower case; empty: not mapped", nullable=True),
            Column("kind", "VARCHAR", "what kind of issue, in lower case; empty: not mapped", nullable=True),
            Column("priority", "VARCHAR", "its priority, in lower case; empty: none", nullable=True),
            Column("due_at", "TIMESTAMP", "when its agreed time runs out, UTC; empty: none is agreed", nullable=True),
            Column("assignee_key", "UUID", "person_key of the human who was assigned last", nullable=True),
            count("assignees", "how many different humans were ever assigned", "people"),
        ),
    ),
    Table(
        "facts.deployments",
        "Deployments from the organisation's own repositories, with their first terminal state.",
        "deployment",
        ("repository", "deployment_id"),
        (
            REPOSITORY,
            Column("deployment_id", "BIGINT", "the deployment's id"),
            Column("environment", "VARCHAR", "where to it went"),
            Column("is_production", "BOOLEAN", "by the rule of kpi.toml; never a hub that the registry has as staging"),
            Column("hub_id", "VARCHAR", "the hub of the registry; empty: the environment names none", nullable=True),
            Column("created_at", "TIMESTAMP", "UTC"),
            Column("started_at", "TIMESTAMP", "first in_progress up to the end, UTC; empty: none", nullable=True),
            Column(
                "finished_at", "TIMESTAMP", "first success, failure or error, UTC; empty: not finished", nullable=True
            ),
            Column("outcome", "VARCHAR", "which of them", nullable=True, values=OUTCOMES),
        ),
    ),
    Table(
        "facts.hub_requests",
        "Issues that ask for a hub: one per hub, the first; without those that were declined.",
        "request",
        ("repository", "number"),
        (
            REPOSITORY,
            NUMBER,
            Column("hub_id", "VARCHAR", "the hub; as the request names it while the registry doesn't have it"),
            Column("completed_at", "TIMESTAMP", "when the request was complete, UTC"),
        ),
    ),
    Table(
        "facts.hub_request_waits",
        "When a request waited for the customer; overlapping labels are one spell.",
        "request and spell",
        ("repository", "number", "from_at"),
        (
            REPOSITORY,
            NUMBER,
            Column("from_at", "TIMESTAMP", "UTC, included"),
            Column("to_at", "TIMESTAMP", "UTC; empty: still waiting", nullable=True),
        ),
    ),
    Table(
        "facts.upstream_contributions",
        "Contributions of affiliated people to projects that aren't the organisation's own. Names no person.",
        "day, project and kind",
        ("date", "project", "kind"),
        (
            Column("date", "DATE", "UTC day"),
            Column("project", "VARCHAR", "owner/name of the repository, or the project's name as recorded"),
            Column("kind", "VARCHAR", "merged_pull_request, review, issue, comment, release, or kind of recorded work"),
            count("contributions", "how many", "contributions"),
        ),
    ),
)
