"""What all models of kpi.toml share. No key of it is declared here."""

import re
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator


class Strict(BaseModel):
    """Frozen, and a key that nobody reads is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


def one_group(pattern: str) -> str:
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from error
    if groups != 1:
        raise ValueError(f"has {groups} capture groups; exactly one is needed: it holds the community")
    return pattern


def _regex_that_names_a_hub(pattern: str) -> str:
    try:
        groups = re.compile(pattern).groupindex
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from error
    if missing := sorted({"cluster", "hub"} - set(groups)):
        raise ValueError(f"has no group {missing[0]!r}; write (?P<cluster>...) and (?P<hub>...)")
    return pattern


HubPattern = Annotated[str, AfterValidator(_regex_that_names_a_hub)]


def team_name(name: str) -> str:
    if not name.strip():
        raise ValueError("a team without a name")
    return " ".join(name.lower().split())


def _an_address(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("not an address such as 'https://hub.example.org'")
    if "@" in parts.netloc:
        raise ValueError("names who logs in; name environment variables instead, which hold it")
    if parts.query or parts.fragment:
        raise ValueError("has a query or a fragment; only scheme, host and path belong here")
    return url.rstrip("/")


Url = Annotated[str, AfterValidator(_an_address)]
Variable = Annotated[str, Field(pattern="^[A-Za-z_][A-Za-z0-9_]*$")]


class Budget(Strict):
    """What one run may ask of a live source; then it stops, and the next run goes on."""

    requests: int | None = Field(default=None, ge=1)
    minutes: int = Field(default=120, ge=1)


class Live(Strict):
    """A source that is asked over the network (or through a client), not one whose files are dropped."""

    kind: str
    budget: Budget = Budget()


class Login(Strict):
    """Who we are: the variables that hold a bearer token, or a user's name and password."""

    token_env: Variable | None = None
    user_env: Variable | None = None
    password_env: Variable | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if bool(self.user_env) != bool(self.password_env) or (self.token_env and self.user_env):
            raise ValueError("give token_env, or user_env and password_env, or none of them")
        return self
