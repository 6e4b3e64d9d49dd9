"""The landing zone: what a source said, byte for byte, private, and complete or not there at all.

One folder per source: `objects/` holds contents named by their hash, `manifests/` one JSON document per fetch,
written last. A file without a manifest doesn't count; a fetch from a live source that is under way is in `open.jsonl`.
What was superseded long ago goes; what a rebuild reads never does. Nothing here looks into a file: that is raw's.
"""

from kpi_pipeline.landing.disk import CHUNK, TORN_GZIP, content_of, sync, unpacked
from kpi_pipeline.landing.journal import OLDEST_WALK, Answer, Begun, Finished, OpenFetch
from kpi_pipeline.landing.model import LandedFile, Manifest, PartState
from kpi_pipeline.landing.zone import Landing, Pruned

__all__ = [
    "CHUNK",
    "OLDEST_WALK",
    "TORN_GZIP",
    "Answer",
    "Begun",
    "Finished",
    "LandedFile",
    "Landing",
    "Manifest",
    "OpenFetch",
    "PartState",
    "Pruned",
    "content_of",
    "sync",
    "unpacked",
]
