"""One person, one key: SQL, Python and a plain HMAC agree on any issuer and any spelling of a name."""

import hashlib
import hmac
import unicodedata
from uuid import UUID

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from kpi_pipeline import identity

SECRET = "a-secret-for-tests-only"


def expected_key(secret: str, issuer: str, name: str) -> UUID:
    """By definitions.md: trimmed, NFKC-normalised, case-folded; HMAC-SHA256, its first 128 bits."""
    normal = unicodedata.normalize("NFKC", name.strip()).casefold().strip()
    return UUID(bytes=hmac.new(secret.encode(), f"{issuer}\x1f{normal}".encode(), hashlib.sha256).digest()[:16])


def sql_keys(secret: str, people: list[tuple[str, str]]) -> dict[tuple[str, str], UUID]:
    with duckdb.connect() as con:
        con.execute("create temp table names (issuer varchar, username varchar, normalised varchar, person_key uuid)")
        con.executemany("insert into temp.names (issuer, username) values (?, ?)", people)
        identity.add_normalised_names(con, "temp.names")
        expression, parameters = identity.key_expression(SecretStr(secret))
        con.execute(f"update temp.names set person_key = {expression}", parameters)
        rows = con.execute("select issuer, username, person_key from temp.names").fetchall()
    return {(issuer, name): key for issuer, name, key in rows}


TEXT = st.text(st.characters(codec="utf-8"), max_size=40)
SPACED = st.builds("{}{}{}".format, *[st.sampled_from(["", " ", "\t\n", "\u00a0", "\u3000", "\x1f"]), TEXT] * 2)


@settings(max_examples=40, deadline=None)
@given(people=st.lists(st.tuples(TEXT, st.one_of(TEXT, SPACED)), min_size=1, max_size=30, unique=True))
@example(people=[("reef", "Straße"), ("reef", "STRASSE"), ("reef", "ﬁsh"), ("reef", "İstanbul"), ("reef", "ǅ")])
@example(people=[("reef", "e\u0301"), ("reef", "é"), ("reef", "Ａｌｉｃｅ"), ("", "alice"), ("https://id/x", "alice")])
@example(people=[("reef", "\x1calice\x1d"), ("reef", "\x85alice"), ("reef", "al\x00ice"), ("reef", "\u00a0\u3000")])
@example(people=[("o'reilly\"; --", "'); drop table names;--"), ("reef", "$inner_pad"), ("reef", "ΌΔΟΣ")])
def test_sql_python_and_plain_hmac_agree(people: list[tuple[str, str]]) -> None:
    expected = {person: expected_key(SECRET, *person) for person in people}
    assert {person: identity.person_key(SecretStr(SECRET), *person) for person in people} == expected
    assert sql_keys(SECRET, people) == expected


@pytest.mark.parametrize("length", [16, 63, 64, 65, 200])
@pytest.mark.parametrize("letter", ["k", "ü"])
def test_keys_for_secrets_shorter_and_longer_than_a_block(length: int, letter: str) -> None:
    secret = letter * length
    person = ("reef", "alice")
    assert sql_keys(secret, [person]) == {person: expected_key(secret, *person)}
    assert identity.person_key(SecretStr(secret), *person) == expected_key(secret, *person)


def test_known_key() -> None:
    """Worked out with: printf 'reef\\x1falice' | openssl dgst -sha256 -hmac a-secret-for-tests-only."""
    assert identity.person_key(SecretStr(SECRET), "reef", " Alice") == UUID("dc92144f7ac0db16c02d8aaee18f7dbf")


@pytest.mark.parametrize(
    ("spelling", "normal"),
    [
        ("Alice", "alice"),
        ("  alice\t", "alice"),
        ("\u00a0alice\u3000", "alice"),
        ("Ａlice", "alice"),
        ("Straße", "strasse"),
        ("e\u0301va", "éva"),
        ("ﬁona", "fiona"),
        ("a b", "a b"),
        ("\u3000", ""),
        ("", ""),
    ],
)
def test_spellings(spelling: str, normal: str) -> None:
    assert identity.normalise(spelling) == normal


@given(TEXT)
def test_normal_form_is_trimmed(name: str) -> None:
    normal = identity.normalise(name)
    assert normal == normal.strip()


def test_issuer_and_name_do_not_run_together() -> None:
    secret = SecretStr(SECRET)
    assert identity.person_key(secret, "ab", "c") != identity.person_key(secret, "a", "bc")


def test_fingerprint_tells_secrets_apart_and_tells_neither() -> None:
    one, other = (identity.secret_fingerprint(SecretStr(text)) for text in (SECRET, SECRET + "!"))
    assert one != other
    assert one == identity.secret_fingerprint(SecretStr(SECRET))
    assert SECRET not in one
