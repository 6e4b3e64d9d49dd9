"""FOCUS billing files: which files belong together. Their content is read by raw, from the landing zone."""

import re

# As exporters number the parts of one export: part-00001, part_0_0001, or five digits that begin with 0.
PART = re.compile(r"part[-_]?[0-9]+([-_][0-9]+)*|(?<=[-_.])0[0-9]{4}(?=[-_.])", re.IGNORECASE)


def delivery_of(name: str) -> str:
    """The delivery that a file is part of: the file, or all in its folder that differ in a part number only."""
    folder, slash, file = name.rpartition("/")
    return folder + slash + PART.sub("*", file)
