"""The rolling-distinct engine: exact DAU, WAU and MAU with new, returning and lapsed people, at every grain at once.

Input: `facts.user_days` (date, cell, person_key) and `facts.cell_members`, which says what each cell belongs to.
Output: `facts.active_users`. No knowledge of hubs, sources or Dagster.

How it counts. A row of a person in a member has a gap to the person's previous day there and one to the next. Those
two gaps decide everything: the person is new where there is no previous day, returning where it is 30 or more days
back, and has lapsed 30 days later where the next day is 30 or more days on. So one pass with lag and lead gives, per
member and day, a handful of counts (`facts.flows`) that add up over people; their running sums are the windows:

    MAU(D) = MAU(D-1) + new(D) + returning(D) - lapsed(D)

Because flows are additive over people, a change takes the changed people's old flows away and adds their new ones;
nobody else is looked at. And whoever was only ever in one cell counts the same in everything that the cell belongs to,
so only people in several cells have to be looked at grain by grain.
"""

from kpi_pipeline.rolling.engine import Change, rebuild, restate, update

__all__ = ["Change", "rebuild", "restate", "update"]
