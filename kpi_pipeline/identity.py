"""Who is one person: from issuer and username to person_key. Nothing here keeps or shows a name.

person_key = HMAC-SHA256(secret, issuer || 0x1F || username), the first 128 bits as a UUID; the username is trimmed,
NFKC-normalised and case-folded (definitions.md, Person).
"""

import hashlib
import hmac
import unicodedata
from uuid import UUID

import polars as pl
from pydantic import SecretStr

from kpi_pipeline.warehouse import Connection

BLOCK = 64
SEPARATOR = "\x1f"
# What str.strip() strips, among ASCII characters.
ASCII_SPACE = "".join(chr(c) for c in range(128) if chr(c).isspace())


def normalise(username: str) -> str:
    """The form in which two spellings of a username are the same."""
    return unicodedata.normalize("NFKC", username.strip()).casefold().strip()


def person_key(secret: SecretStr, issuer: str, username: str) -> UUID:
    """The key of one person; `username` in any spelling."""
    message = f"{issuer}{SEPARATOR}{normalise(username)}".encode()
    return UUID(bytes=hmac.new(secret.get_secret_value().encode(), message, hashlib.sha256).digest()[:16])


def secret_fingerprint(secret: SecretStr) -> str:
    """Tells two secrets apart without telling either."""
    return hmac.new(secret.get_secret_value().encode(), b"fingerprint", hashlib.sha256).hexdigest()[:16]


def add_normalised_names(con: Connection, names: str) -> None:
    """Fills `normalised` in a table (username, normalised), set-wise; the few that aren't ASCII go through Python."""
    plain = "regexp_full_match(username, '[\\x00-\\x7F]*')"
    con.execute(f"update {names} set normalised = lower(trim(username, ?)) where {plain}", [ASCII_SPACE])
    other = con.sql(f"select username from {names} where normalised is null").pl()
    other = other.with_columns(pl.col("username").map_elements(normalise, return_dtype=pl.String).alias("normalised"))
    con.register("other_names", other.to_arrow())
    con.execute(f"update {names} set normalised = o.normalised from other_names o where {names}.username = o.username")
    con.unregister("other_names")


def key_expression(secret: SecretStr) -> tuple[str, dict[str, bytes]]:
    """SQL that gives the person_key of the columns `issuer` and `normalised`, and its parameters.

    HMAC written out as two SHA-256 (RFC 2104), since DuckDB has only the hash.
    """
    key = secret.get_secret_value().encode()
    key = (hashlib.sha256(key).digest() if len(key) > BLOCK else key).ljust(BLOCK, b"\0")
    pads = {"inner_pad": bytes(b ^ 0x36 for b in key), "outer_pad": bytes(b ^ 0x5C for b in key)}
    inner = "unhex(sha256($inner_pad || encode(issuer || chr(31) || normalised)))"
    return f"left(sha256($outer_pad || {inner}), 32)::uuid", pads
