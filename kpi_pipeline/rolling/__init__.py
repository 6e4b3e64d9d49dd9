"""The rolling-distinct engine: exact DAU, WAU and MAU with new, returning and lapsed people, at every grain at once.

Input: `facts.user_days` (date, cell, person_key) and `facts.cell_members`, which says what each cell belongs to.
Output: `facts.active_users`. No knowledge of hubs, sources or Dagster.

How it counts. A person in a member is there, then away, then there again. The gaps between two days decide everything:
the person is new where there is no day before, returning where it is 30 or more days back, and has lapsed 30 days later
where the next day is 30 or more days on. So a handful of counts per member and day (`facts.flows`) add up over people,
and their running sums are the windows:

    MAU(D) = MAU(D-1) + new(D) + returning(D) - lapsed(D)

How gaps are found. 64 days of a person are one integer, a word: gaps of a week or more show in its bits, and only its
last day needs the next word. So what has to be sorted is a tenth of the rows.

Because flows are additive over people, a change looks at nobody but the changed people. A day that comes cuts the gap
between its neighbours in two, one that goes makes them one again; so the nearest days around it are all that is read.
And whoever was only ever in one cell counts the same in everything that the cell belongs to, so only people in several
cells have to be looked at grain by grain.
"""

from kpi_pipeline.rolling.engine import Change, rebuild, restate, update

__all__ = ["Change", "rebuild", "restate", "update"]
