"""Named errors, and nothing else: each says the culprit, what came, what was expected, and what to do.

No message here ever holds a person's name or a secret: callers pass places (file, row, key), not contents.
"""


class KpiError(Exception):
    """Something a person has to mend.

    Args:
        culprit: the file, key, table or check that is wrong.
        got: what was found there.
        expected: what should have been there.
        fix: what the reader can do about it.
    """

    def __init__(self, culprit: object, *, got: object, expected: object, fix: str) -> None:
        self.culprit, self.got, self.expected, self.fix = str(culprit), str(got), str(expected), fix
        super().__init__(f"{self.culprit}: got {self.got}; expected {self.expected}. {self.fix}")


class ConfigError(KpiError):
    """kpi.toml or the environment is wrong."""


class SourceError(KpiError):
    """A source can't be read at all, so nothing was landed from it."""


class UnreachableError(SourceError):
    """A live source didn't give a right answer, however often it was asked; it may tomorrow."""


class RefusedError(SourceError):
    """A live source refuses what it is asked: a token is wrong or may too little, or there is no such thing."""


class BudgetSpentError(KpiError):
    """What a run may ask of a live source is used up: not a fault, the next run goes on."""


class LandingError(KpiError):
    """The landing zone isn't as its manifests say."""


class UnreadableFileError(KpiError):
    """A landed file as a whole can't be read; it goes to quarantine with `reason`."""

    def __init__(self, culprit: object, *, reason: str, got: object, expected: object, fix: str) -> None:
        self.reason = reason
        super().__init__(culprit, got=got, expected=expected, fix=fix)


class CatalogError(KpiError):
    """A measure or KPI definition is wrong."""


class FormulaError(KpiError):
    """The formula of a KPI can't be computed from what is there."""


class WarehouseError(KpiError):
    """The warehouse can't be opened or used."""


class PublishRefusedError(KpiError):
    """A check of severity ERROR fails, so the old snapshot stays."""
