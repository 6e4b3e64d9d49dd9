"""FOCUS exports in S3, or in a store that speaks as it does: what is there, what is new of it, and is it whole.

What belongs here: objects. What never does: the lines in them, which raw reads from the landing zone.
"""

import json
from collections.abc import Collection, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pydantic import JsonValue

from kpi_pipeline.days import Days, last_over, span, union
from kpi_pipeline.errors import KpiError, SourceError
from kpi_pipeline.settings.sources import CloudCostsS3
from kpi_pipeline.sources.aws import CHUNK, AwsRefusedError, Client, Session, account
from kpi_pipeline.sources.files import TABLE_SUFFIXES, is_data
from kpi_pipeline.sources.focus import delivery_of
from kpi_pipeline.sources.transport import BadAnswerError, Reply
from kpi_pipeline.sources.walk import Fetched, Made, NamedParts, Seen, Tools, Walk

# Of a folder that was written to so shortly ago, some parts may be still to come.
SETTLES = timedelta(minutes=15)
# Costs of a day are billed a day later.
LATE = timedelta(days=1)
# A million objects.
MAX_PAGES = 1000
# What S3 says of an object that has changed since it was listed, and what is kept of that.
CHANGED = ("PreconditionFailed", "NoSuchKey", "412", "404")
GONE = 412
# As they are in keys; anything else is written as %.. in a name, and so is %.
PLAIN = " =+-_.,:;@~!()&$"


@dataclass(frozen=True)
class Listed:
    """An object as a listing has it."""

    key: str
    name: str
    etag: str
    size: int
    modified: datetime

    @property
    def folder(self) -> str:
        return self.name.rpartition("/")[0]

    @property
    def is_export(self) -> bool:
        """Whether it is a file that counts; a key that ends with / stands for a folder."""
        return is_data(self.name) and self.name.lower().endswith(TABLE_SUFFIXES)

    @property
    def version(self) -> str:
        """Tells contents apart."""
        return sha256(f"{self.etag} {self.size}".encode()).hexdigest()[:16]


class FocusS3(NamedParts):
    """The exports below a prefix of a bucket. Files: by their keys below the prefix."""

    at_once = 1

    def __init__(self, source: str, configured: CloudCostsS3, tools: Tools) -> None:
        self.source, self.configured = source, configured
        self.prefix = f"{configured.prefix.strip('/')}/" if configured.prefix.strip("/") else ""
        session = Session(source, tools, endpoint=configured.endpoint, region=configured.region)
        self._client = Client(session, "s3", max_bytes=configured.max_object_bytes)
        # Another store needn't know who asks.
        self._identity = None if configured.endpoint else Client(session, "sts")

    @property
    def place(self) -> str:
        return f"{self.configured.bucket}/{self.prefix}"

    def parts(self, walk: Walk) -> list[str]:  # noqa: ARG002
        """One: the prefix."""
        return [self.place]

    def fetch(self, walk: Walk) -> Fetched:
        """Lands every delivery of which anything is new, as a whole, if it is at rest; else the next fetch does."""
        before, now = self._list(walk, "before")
        exports = [listed for listed in before if listed.is_export]
        self._check(exports)
        known = _texts(walk.cursor.get("objects"))
        restless = {listed.folder for listed in exports if now - listed.modified < SETTLES}
        new = {delivery_of(listed.name) for listed in exports if known.get(listed.key) != listed.version}
        wanted = [listed for listed in exports if delivery_of(listed.name) in new and listed.folder not in restless]
        # Of two deliveries of the same month the one that came last counts: the oldest come first.
        replies = [(listed, self._get(walk, listed)) for listed in sorted(wanted, key=_age)]
        if wanted:
            after, _ = self._list(walk, "after")
            restless |= {listed.folder for listed in {*before} ^ {*after}}
        for listed, reply in replies:
            if listed.folder not in restless:
                self._land(walk, listed, reply)
        at_rest = [listed for listed in exports if listed.folder not in restless]
        waiting = [listed for listed in exports if listed.folder in restless and listed.key in known]
        objects: dict[str, JsonValue] = {
            **{listed.key: listed.version for listed in at_rest},
            **{listed.key: known[listed.key] for listed in waiting},
        }
        return Fetched({"objects": objects}, union(walk.covered, _days(at_rest)))

    def examine(self, walk: Walk) -> Iterator[Seen]:
        """Asks who we are, lists, and reads a byte of the newest export."""
        try:
            if self._identity is not None:
                yield Seen("ok", f"AWS accepts the credentials, of account {account(walk, self._identity)}")
            found, _ = self._list(walk, "examine")
            exports = [listed for listed in found if listed.is_export]
            self._check(exports)
            newest = max(exports, key=_age)
            yield Seen(
                "ok",
                f"{self.place}: {len(exports):,} export file(s), "
                f"the newest written on {newest.modified:%Y-%m-%d %H:%M} UTC",
            )
            walk.ask(
                f"GetObject {newest.key} 0-0",
                lambda: self._client.ask(
                    "get_object",
                    walk.budget,
                    _take_nothing,
                    Bucket=self.configured.bucket,
                    Key=newest.key,
                    Range="bytes=0-0",
                ),
            )
            yield Seen("ok", f"{self.place}: the newest can be read")
        except KpiError as error:
            yield Seen("problem", str(error))
            return
        if others := len([listed for listed in found if is_data(listed.name) and not listed.is_export]):
            yield Seen("note", f"{self.place}: {others:,} object(s) of other formats, which are not fetched")

    def quota(self) -> int | None:
        return None

    def close(self) -> None:
        self._client.close()
        if self._identity is not None:
            self._identity.close()

    def _check(self, exports: list[Listed]) -> None:
        if not exports:
            raise SourceError(
                f"source {self.source}: s3://{self.place}",
                got=f"no object whose name ends with {' '.join(TABLE_SUFFIXES)}",
                expected="the files of FOCUS exports",
                fix="Mend `bucket` and `prefix` in kpi.toml, or wait for the first export.",
            )
        largest = max(exports, key=lambda listed: listed.size)
        if largest.size > self.configured.max_object_bytes:
            raise SourceError(
                f"source {self.source}: s3://{self.place}",
                got=f"{largest.name}, of {largest.size:,} bytes",
                expected=f"at most {self.configured.max_object_bytes:,} bytes",
                fix="Raise max_object_bytes in kpi.toml, or have the export written in parts.",
            )

    def _list(self, walk: Walk, when: str) -> tuple[list[Listed], datetime]:
        """All objects below the prefix, and what the time was there when the listing began."""
        listed: dict[str, Listed] = {}
        began: datetime | None = None
        token: str | None = None
        for _ in range(MAX_PAGES):
            page = self._page(walk, when, token, listed)
            began = began or page.server_time or page.received_at
            found = page.json()
            listed.update((key, self._listed(key, *rest)) for key, *rest in found["objects"])
            token = found["next"]
            if token is None:
                return [*listed.values()], began
        raise SourceError(
            f"source {self.source}: s3://{self.place}",
            got=f"more than {MAX_PAGES:,} pages of objects",
            expected="an end",
            fix="Nothing is taken. Name the folder of the exports as `prefix` in kpi.toml.",
        )

    def _page(self, walk: Walk, when: str, token: str | None, known: dict[str, Listed]) -> Reply:
        asked = {"Bucket": self.configured.bucket, "Prefix": self.prefix}
        if token is not None:
            asked["ContinuationToken"] = token
        take = partial(_take_page, known=known.keys(), prefix=self.prefix)
        return walk.ask(
            f"ListObjectsV2 {when} {self.place} {token or ''}",
            lambda: self._client.ask("list_objects_v2", walk.budget, take, **asked),
        )

    def _listed(self, key: str, etag: str, size: int, modified: str) -> Listed:
        segments = key.removeprefix(self.prefix).split("/")
        # Keys are no paths: what would be none, or another one, is written otherwise.
        name = "/".join(quote(segment, safe=PLAIN) or "%2F" for segment in segments)
        return Listed(key, name, etag, size, datetime.fromisoformat(modified))

    def _get(self, walk: Walk, listed: Listed) -> Reply:
        suffix = next(suffix for suffix in TABLE_SUFFIXES if listed.name.lower().endswith(suffix))
        with walk.aside(suffix) as path:
            return walk.ask(
                f"GetObject {listed.key} {listed.version} {listed.modified.isoformat()}",
                lambda: self._download(walk, listed, path),
            )

    def _download(self, walk: Walk, listed: Listed, path: Path) -> Made:
        url = f"s3://{self.configured.bucket}/{listed.key}"
        asked = {"Bucket": self.configured.bucket, "Key": listed.key}
        try:
            return self._client.ask(
                "get_object",
                walk.budget,
                partial(_take_object, listed=listed, path=path, url=url),
                **({**asked, "IfMatch": listed.etag} if listed.etag else asked),
            )
        except AwsRefusedError as error:
            if error.code not in CHANGED:
                raise
            return Made(b"", url, GONE, {}, self._client.clock.now())

    def _land(self, walk: Walk, listed: Listed, reply: Reply) -> None:
        if reply.status == GONE:
            raise SourceError(
                f"source {self.source}: s3://{self.place}",
                got=f"{listed.name}, listed before and after, and yet not there, or another one",
                expected="the object that was listed",
                fix="Look whether the store is well; the next run asks again.",
            )
        walk.land(listed.name, reply)


def _age(listed: Listed) -> tuple[datetime, str]:
    return listed.modified, listed.key


def _days(landed: list[Listed]) -> Days:
    """The days that had been billed, as far as is known here: those that were long over when the files were written."""
    written = [last_over(listed.modified, LATE) for listed in landed]
    return span(min(written), max(written)) if written else ()


def _take_page(parsed: dict[str, Any], reply: Reply, *, known: Collection[str], prefix: str) -> Made:
    """What counts of a page of a listing."""
    truncated, token = parsed.get("IsTruncated"), parsed.get("NextContinuationToken")
    contents = parsed.get("Contents", [])
    if not isinstance(truncated, bool) or (truncated and not token):
        raise BadAnswerError("no listing")
    try:
        objects = [
            (
                item["Key"],
                item.get("ETag", ""),
                int(item["Size"]),
                item["LastModified"].astimezone(UTC).replace(microsecond=0).isoformat(),
            )
            for item in contents
        ]
    except (KeyError, AttributeError):
        raise BadAnswerError("objects without key, size or date") from None
    keys = {key for key, *_ in objects}
    if keys.intersection(known) or len(keys) < len(objects) or not all(key.startswith(prefix) for key in keys):
        raise BadAnswerError("objects that were listed before, or that nobody asked for")
    if not objects and (truncated or known):
        raise BadAnswerError("an empty page, where objects were announced")
    content = json.dumps({"objects": objects, "next": token if truncated else None}).encode()
    return Made(content, reply.url, reply.status, reply.headers, reply.received_at)


def _take_object(parsed: dict[str, Any], reply: Reply, *, listed: Listed, path: Path, url: str) -> Made:
    """The bytes of an object, into a file, if they are those that were listed."""
    # A body as a context manager gives its inside, which knows no checksum.
    with closing(parsed["Body"]) as body:
        if "LastModified" not in parsed or ("ETag" not in parsed and listed.etag):
            raise BadAnswerError("no object")
        modified = parsed["LastModified"].astimezone(UTC).replace(microsecond=0)
        if (parsed.get("ETag", ""), modified) != (listed.etag, listed.modified):
            # A store that doesn't heed If-Match.
            return Made(b"", url, GONE, {}, reply.received_at)
        with path.open("wb") as file:
            while chunk := body.read(CHUNK):
                file.write(chunk)
    if path.stat().st_size != listed.size:
        raise BadAnswerError("another size than the listing says")
    return Made(path, url, reply.status, reply.headers, reply.received_at)


def _take_nothing(parsed: dict[str, Any], reply: Reply) -> Made:
    parsed["Body"].close()
    return Made(b"", reply.url, reply.status, reply.headers, reply.received_at)


def _texts(found: object) -> dict[str, str]:
    return {key: str(value) for key, value in found.items()} if isinstance(found, dict) else {}
