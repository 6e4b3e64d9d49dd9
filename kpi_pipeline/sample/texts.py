"""The two texts of the sample: its kpi.toml, the first configuration that a newcomer reads, and its README.

Never here: a number that is not in the world.
"""

from datetime import date

from kpi_pipeline.sample import costs, delivery, metrics, outreach, product, quality, technical
from kpi_pipeline.sample.simulate import Exclusion, World
from kpi_pipeline.sample.support import PRODUCTS, ROBOT, TAGGED, companies, tagged

# Where the KPIs of roles come from: each has write(folder, world), config() for kpi.toml, and README.
ROLE_DOMAINS = (delivery, quality, metrics, product, outreach)

_CONFIG = """\
# The configuration of an organisation, here an invented one. Copy it and change it block by block:
# what is named here is connected, what is not named is reported as "no data: not connected".

[organisation]
name = "Example Hubs"             # shown in every report
timezone = "UTC"                  # when the nightly run starts; days are always UTC days
reporting_currency = "USD"        # what amounts in other currencies are converted to
id_secret_env = "KPI_ID_SECRET"   # the variable that holds the secret under which usernames are hashed
demo = true                       # invented people: the secret may be missing. Never set this for real ones.
as_of = {as_of}                # the last day to report on; leave it out to mean yesterday
first_day = {first_day}            # where the partitions of days begin in the Dagster UI

# What fewer respondents say of a community or a theme is not shown by itself.
[privacy]
min_people = 3

# Which hubs there are, since when, what they are called and whom they are run for: files with the columns
# valid_from, valid_to, cluster, provider, hub, display_name, domain, helm_chart, hubspot_deal_id and,
# optional, community ("a;b" for two), hub_type, identity_issuer. An empty valid_to means: still so.
[sources.hub_registry]
kind = "table"
path = "hub_registry"             # a file, or a folder of files, beside this file
# The registry does not say what a hub is for; its name does. What matches neither rule is in production.
staging = ["staging", "*-staging"]
binder = ["binder", "*-binder"]   # their users are launches, not people: counted as sessions, apart

# Who used which hub on which day: files with the columns date, cluster, hub, username and, optional,
# sessions. CSV, JSON, one JSON object a line, or Parquet; gzip too; one row more than once does no harm.
[sources.hub_activity]
kind = "table"
path = "hub_activity"
# What it takes for the source to call somebody active on a day; it is kept with the data.
criterion = "a user server ran on that day"

# The books: a line per booking, with the columns date, kind (revenue, cost), category, amount, currency,
# description and, optional, service_start, service_end (an amount is spread over these days) and contract_id.
[sources.ledger]
kind = "table"
path = "ledger"
max_age_days = 45                 # older books: a warning, and `late` in data_health

# Deals as HubSpot exports them (CSV, whole, one export in the folder). Deals that are won and that no revenue line
# of the ledger names as its contract count as revenue too; open ones are the pipeline, which is no revenue.
[sources.deals]
kind = "hubspot_csv"
path = "deals"
currency = "USD"                  # of deals that name none

# What currencies are worth in the reporting currency: date, currency, rate. The newest rate not after a day
# holds on it; an amount without a rate is not counted, and is listed in the quarantine.
[sources.rates]
kind = "table"
path = "rates"

# What ledger and deals call a category (globs, whatever the capitals), by the category to report it under.
# A name that is the category's own needs no rule; what no rule matches is shown as uncategorised.
[categories.revenue]
grants = ["41*", "grant"]
"development contracts" = ["42*", "development"]
"cloud service contracts" = ["43*", "hub service"]

[categories.costs]
engineering = ["61*"]
"partnerships and community" = ["62*"]
executive = ["63*"]
"fiscal fee" = ["64*"]
services = ["65*"]

# What people say of us: a row per answer, with a score and tags, never free text. Columns: date, survey, kind
# (satisfaction, recommend, acceptance, progress), scale, community, respondent (hashed like a username; empty:
# anonymous), score, themes ("speed;storage"), subject ("documentation"; empty: us as a whole), team (whose work it is).
[sources.surveys]
kind = "table"
path = "surveys"
max_age_days = 100

# How many were asked, so that there is a response rate: date, survey, community, invited; kind, subject and team of the
# question as above.
[sources.survey_invitations]
kind = "table"
path = "survey_invitations"

# What came of the use of our hubs: date, doi, title, kind, community ("a; b" for two) or hub, url.
[sources.publications]
kind = "table"
path = "publications"

# What communities have declared of themselves: community, historically_marginalised (yes, no), valid_from, valid_to,
# declared_by, self_declared (the day). Of communities, never of a person.
[sources.communities]
kind = "table"
path = "communities"

# What we charge and what the price list says: charge_id, community or contract, month or service_start and service_end,
# list_price, charged_price, currency.
[sources.charges]
kind = "table"
path = "charges"

# Issues, their events, pull requests, reviews and releases: pages of GitHub's REST API as it answered them, one
# a file, in <owner>/<repository>/<stream>/. `own` says which repositories are the organisation's.
[sources.github]
kind = "json_pages"
path = "github"
own = ["example-hubs/*"]
bots = ["hubs-helper"]            # accounts that are bots, though their type doesn't say so
max_age_days = 30
# Issues that the KPIs of roles are about; without this key: all of them.
technical = {{ labels = ["bug"], repositories = {technical} }}

# Which team answers for an issue, what it is about, and how urgent it is: the first that one of its labels matches,
# else the first that its repository matches. A list names repositories. `hours`: the time agreed on to resolve it.
{mapped}
# What a deployment's environment says: which hub it is (groups cluster and hub), and whether that is production
# (globs; a hub that the registry has as staging never is).
[sources.github.deployments]
environment = "^(?P<cluster>[^/]+)/(?P<hub>[^/]+)$"
production = ["*/*"]

# Issues that ask for a hub bear a label, and name it in title or body. The time to its deployment begins when the label
# `complete` is put on; what passes under the labels of waiting for the customer isn't counted.
[sources.github.hub_requests]
label = "new-hub"
names = '(?i)new hub: *(?P<cluster>[a-z0-9-]+)/(?P<hub>[a-z0-9-]+)'
complete = "request-complete"
waiting = ["waiting-for-community", "on-hold"]

# Which GitHub accounts belong to the organisation's people, and when: columns login, from and to (not included;
# empty: still).
[sources.affiliations]
kind = "table"
path = "affiliations"

# Work for upstream projects that is no code: columns date, project, kind, count and, optional, description.
[sources.upstream_work]
kind = "table"
path = "upstream_work"
{tickets}
"""

_ANNOTATIONS = """\
# Dated notes, which stand on the charts of reports. Without `kpis` a note stands on every chart.
"""

_EXCLUSIONS = """\
# The register of exclusions: what is left out of the counts, why, and who approved that. Each rule's effect
# is counted and published. `match` names usernames (whatever their capitals) or a hub; `from` and `to` are
# days, both included, and a missing one means without limit.
"""

_TICKETS = """\
# Support tickets, as pages of Freshdesk's API: tickets/*.json, conversations/<ticket>/*.json and
# satisfaction_ratings/*.json. No text of a ticket is loaded.
[sources.tickets]
kind = "freshdesk_pages"
path = "tickets"
automations = [{robot}]              # user ids of machines: what they write is no reply by a person
# Which community asks: by the requester's company, then by a tag of the ticket.
companies = {{ {companies} }}
tags = {{ {tag} = "{tagged}" }}
products = {{ {products} }}

# Access logs by <cluster>/<hub>/: only landings of nbgitpuller links are read from them.
[sources.access_logs]
kind = "nginx"                    # or "jupyterhub"; lines of either format are understood
path = "access_logs"
"""

_README = """\
# A simulated organisation

Made by `kpi sample` (`kpi_pipeline/sample/`), the same bytes each time for the same arguments:
seed {seed}, {hubs} hubs, {days} days, {first} to {last}. **All people, hubs and communities are invented.**

- `kpi.toml`: the configuration, with a comment on each block. Begin here.
- `hub_registry/registry.csv`: the hubs and their history, with renames, moves, closures and returns.
- `hub_activity/`: who used which hub on which day; a file per month in several formats, the last month a
  file per day, and in `late/` rows of earlier days that arrived late. A few lines are broken on purpose,
  each in one way.
- `ledger/`, `deals/`, `rates/`: the books of three years, deals as HubSpot exports them, and exchange rates; a few
  lines are broken on purpose.
- `surveys/`, `survey_invitations/`, `publications/`, `communities/`, `charges/`: what people say, what came of the use
  of the hubs, what communities declare of themselves, and prices. `services-*.csv` are answers about products, services
  and teams, and ratings of internships; four of their rows are broken on purpose.
- `cloud_costs/`: the cloud bill, a file per month in FOCUS; one month as Parquet, one in two parts, one delivered
  again (`.v2`) with corrected costs but for one account; credits, corrections, shared and misspelt lines.
- `tickets/`: support tickets as Freshdesk's pages, as of every night, with conversations and ratings.
- `access_logs/`: log lines of some hubs, in two formats; one line is garbage.
- `truth/`: what a pipeline has to find, by brute force from the simulated world and not from these files:
  - `active_users.csv.gz`: DAU, WAU, MAU, new, returning and lapsed, by day and grain; a member begins on
    the day of its first qualifying user-day and then has a row for every day.
  - `mau_percentiles.csv`: over production hubs that were in service on all 30 days; from the 30th day on.
  - `communities_served.csv`, `running.csv`: by day.
  - `ticket_turnaround.csv`: by period, grain and figure; hours. Of the windows of 30 days, as in
    `issue_completion_time.csv`: the last three and every 29th before. `ticket_faults.csv`: records rejected, by reason.
  - `nbgitpuller_clicks.csv`: clicks and landings by period, grain and member; of the windows of 30 days the last three
    and every 29th before.
  - `monthly_cloud_costs.csv`, `cloud_cost_per_hub_user.csv`: by month, to the cent; `cloud_costs_quarantined.csv`.
  - `monthly_revenue.csv`, `monthly_costs.csv`: by month and category, spread day by day; `bookings.csv`: billed,
    booked and the weighted pipeline.
  - `accounting.json`: rows of hubs and their activity quarantined by reason, and user-days (day, hub, person)
    excluded by rule, set apart as staging or binder, and qualifying. Each rule counts all that it
    matches, as rules may overlap; `excluded_user_days_total` counts a user-day once.
  - `opinion/`: satisfaction, publications, cost reductions and marginalised communities served, and the rows of
    these sources that are quarantined.

- `github/`, `affiliations/`, `upstream_work/`: issues of two repositories of its own and work in two upstream
  projects, as pages of GitHub's API and as tables. Some issues are transferred, reopened, assigned to a bot or
  listed twice, and a few objects are broken on purpose. Some issues ask for a hub, and deployments say when it was
  there. Their truth is in `truth/`: `issue_flows.csv`, `issue_completion_time.csv`, `upstream_contributions.csv`,
  `hub_deployment_time.csv`, `deployments.csv` and `github_quarantine.csv`.
- `github/example-hubs/web`, `mobile`, `services`: issues of technical teams, with labels for priority, area, kind and
  another team. Some have no priority, some change theirs; some are declined, reopened or still open.
- `truth/roles/`: the KPIs of roles by month, fiscal quarter and, on some days, over the 30 days that end on them; a
  file per domain, with the figures beside them.
"""

_CLOSING = """
Change the generator, not these files: a test compares them with a fresh write.
"""


def config(world: World) -> str:
    blocks = [
        _CONFIG.format(
            as_of=world.period.last, first_day=world.period.first, tickets=_tickets(world), **technical.config()
        )
    ]
    blocks += [costs.config(world), *(domain.config() for domain in ROLE_DOMAINS), _ANNOTATIONS]
    exclusions = (_exclusion(rule) for rule in world.exclusions)
    return "\n".join([*blocks, *_annotations(world), _EXCLUSIONS, *exclusions])


def readme(world: World) -> str:
    period = world.period
    text = _README.format(seed=world.seed, hubs=len(world.hubs), days=period.days, first=period.first, last=period.last)
    return text + "".join(domain.README for domain in ROLE_DOMAINS) + _CLOSING


def _tickets(world: World) -> str:
    return _TICKETS.format(
        robot=ROBOT,
        companies=", ".join(f'{number} = "{name}"' for number, name in companies(world).items()),
        tag=TAGGED,
        tagged=tagged(world),
        products=", ".join(f'{number} = "{name}"' for number, name in PRODUCTS.items()),
    )


def _annotations(world: World) -> list[str]:
    """When terms began, and when the rules of a hub's exclusion began to hold."""
    first, last = world.period.first, world.period.last
    terms = {(1, 15): "The spring term begins", (9, 1): "The autumn term begins"}
    notes = [
        (date(year, *begins), text, "external")
        for year in range(first.year, last.year + 1)
        for begins, text in terms.items()
    ]
    notes += [
        (rule.first, f"A month of {rule.hub.hub_id} is left out: {rule.id}", "internal")
        for rule in world.exclusions
        if rule.hub is not None and rule.first is not None
    ]
    return [
        f'[[annotations]]\ndate = {when}\ntext = "{text}"\nkpis = ["impact.monthly_active_users"]\n'
        f'audience = "{audience}"\n'
        for when, text, audience in sorted(notes)
        if first <= when <= last
    ]


def _exclusion(rule: Exclusion) -> str:
    lines = ["[[exclusions]]", f'id = "{rule.id}"', 'source = "hub_activity"', f"match = {_match(rule)}"]
    if rule.first is not None:
        lines.append(f"from = {rule.first}")
    if rule.last is not None:
        lines.append(f"to = {rule.last}")
    lines += [f'reason = "{rule.reason}"', f'approved_by = "{rule.approved_by}"', ""]
    return "\n".join(lines)


def _match(rule: Exclusion) -> str:
    if rule.hub is not None:
        return f'{{ cluster = "{rule.hub.cluster}", hub = "{rule.hub.name}" }}'
    if len(rule.usernames) == 1:
        return f'{{ username = ["{rule.usernames[0]}"] }}'
    # TOML 1.0 has no line break between the braces, but has them inside the list.
    names = "".join(f'  "{name}",\n' for name in rule.usernames)
    return f"{{ username = [\n{names}] }}"
