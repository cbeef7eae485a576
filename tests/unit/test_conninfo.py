"""Connection strings: every usual spelling read, and no secret shown."""

import copy
import logging
import pickle
import traceback
from contextlib import suppress
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import URL

from howdah.retrieval.conninfo import Conninfo, parse, with_options
from howdah.retrieval.errors import DatabaseUnavailable, ExtensionMissing, InvalidInput
from howdah.retrieval.lost import died, unavailable
from howdah.retrieval.options import conninfo_of
from howdah.retrieval.server import Server, check_versions

# Whatever is not a control character; long enough not to be a part of the messages by chance.
PASSWORDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=6, max_size=40).filter(
    lambda text: text.strip() == text
)
SPECIAL = "p@ss:w/o?r#d%&=+[x] 'q\"\\ü€"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "PostgreSQL", "postgresql+psycopg", "postgresql+asyncpg"])
def test_every_scheme_is_read(scheme):
    found = parse(f"  {scheme}://ann:secret@db.example:5433/library?sslmode=require  ")
    assert found.parts == {
        "user": "ann", "password": "secret", "host": "db.example", "port": "5433", "dbname": "library", "sslmode": "require",
    }  # fmt: skip
    assert found.pooler == "auto"


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("host=h user=u password='a b' dbname=d", {"host": "h", "user": "u", "password": "a b", "dbname": "d"}),
        ("host=h password=x://y dbname=d", {"host": "h", "password": "x://y", "dbname": "d"}),
        ("postgresql://u@[::1]:5433/d", {"user": "u", "host": "::1", "port": "5433", "dbname": "d"}),
        (
            "postgresql://u@[::1]:1,[fe80::2]:2/d",
            {"user": "u", "host": "::1,fe80::2", "port": "1,2", "dbname": "d"},
        ),
        (
            "postgresql://a:1,b,c:3/d?target_session_attrs=read-write",
            {"host": "a,b,c", "port": "1,,3", "dbname": "d", "target_session_attrs": "read-write"},
        ),
        ("postgresql:///d?host=/run/pg&port=5433", {"dbname": "d", "host": "/run/pg", "port": "5433"}),
        ("postgresql://%2Frun%2Fpg/d", {"host": "/run/pg", "dbname": "d"}),
        (
            "postgresql://h/d?options=-c%20search_path%3Da%2Cb",
            {"host": "h", "dbname": "d", "options": "-c search_path=a,b"},
        ),
        ("postgresql://h/a+b?application_name=a+b", {"host": "h", "dbname": "a+b", "application_name": "a+b"}),
        ("postgresql+psycopg://h/d?options=-c+jit%3Don", {"host": "h", "dbname": "d", "options": "-c jit=on"}),
        ("postgresql+asyncpg://h/d?ssl=require", {"host": "h", "dbname": "d", "sslmode": "require"}),
        ("postgresql://u:p@ss@h/d", {"user": "u", "password": "p@ss", "host": "h", "dbname": "d"}),
        ("postgresql://u:a#b?c@h/d", {"user": "u", "password": "a#b?c", "host": "h", "dbname": "d"}),
        ("postgresql://", {}),
    ],
)
def test_libpq_gets_what_was_meant(url, parts):
    assert parse(url).parts == parts


@pytest.mark.parametrize(
    ("query", "pooler"),
    [
        ("?pooler=true", "yes"), ("?sslmode=disable&pooler=1", "yes"), ("?pooler=FALSE&sslmode=disable", "no"),
        ("?pooler=prepared", "prepared"), ("?pooler=auto", "auto"), ("", "auto"),
    ],
)  # fmt: skip
def test_the_pooler_is_declared_in_the_query(query, pooler):
    found = parse(f"postgresql://h/d{query}")
    assert found.pooler == pooler
    assert "pooler" not in found.text


@given(PASSWORDS, st.sampled_from(["postgresql", "postgres", "postgresql+psycopg"]))
def test_any_password_is_read_and_never_shown(password, scheme):
    found = parse(f"{scheme}://ann:{quote(password, safe='')}@db.example/library?sslmode=disable")
    assert found.parts["password"] == password
    said = [
        repr(found),
        str(found),
        found.shown,
        found.place,
        repr(unavailable(ValueError(f"no {password} here"), found)),
    ]
    said.append(str(unavailable(ValueError(f"bad {quote(password, safe='')}"), found)))
    assert not [text for text in said if password in text or quote(password, safe="") in text]
    assert conninfo_to_dict(with_options(found, {"jit": "off"}))["password"] == password


@given(PASSWORDS)
def test_any_password_survives_sqlalchemy(password):
    url = URL.create("postgresql+psycopg", "ann", password, "db.example", 5432, "library", {"options": "-c jit=off"})
    found = parse(url.render_as_string(hide_password=False))
    assert (found.parts["password"], found.parts["options"]) == (password, "-c jit=off")


def test_an_engine_is_read_like_its_url():
    from sqlalchemy import create_engine

    url = URL.create("postgresql+psycopg", "ann", SPECIAL, "db.example", 5432, "library")
    assert conninfo_of(create_engine(url)).parts["password"] == SPECIAL


SECRET = "hunter2secret"
BAD = [
    "",
    "   ",
    "mysql://u:{}@h/d",
    "postgresql://u:{}@[::1/d",
    "postgresql://u:{}%zz@h/d",
    "postgresql://u:{}/w@h/d",
    "postgresql://u:1/{}@h/d",
    "postgresql://u:a?b/{}@h/d",
    "postgresql://u:{}@h/d?nonsense=1",
    "postgresql://u:{}@h/d?sslmode",
    'postgresql://u:"{}%zz@h/d?a"b',
    "postgresql://u:{}%00@h/d",
    "postgresql://u:{}%ff@h/d",
    "postgresql://u:{}@h:port/d",
    "postgresql://u:{}\x00@h/d",
    "postgresql://u:{}\ud800@h/d",
    "postgresql://u:{}@h/d?pooler=maybe",
    "host=h password='{}",
    "host=h {}",
    "{}",
    "host=h port={}",
    "nonsense={} host=h",
]


@pytest.mark.parametrize("template", BAD)
def test_a_bad_url_is_refused_without_being_shown(template):
    with pytest.raises(InvalidInput) as caught:
        parse(template.replace("{}", SECRET))
    assert caught.value.hint
    assert SECRET not in "".join(traceback.format_exception(caught.value, chain=True))
    assert caught.value.__context__ is None


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text):
    with suppress(InvalidInput):
        parse(text)


@given(PASSWORDS, st.sampled_from(["postgresql://u:{}@h:5432/d", "postgresql://u:{}@[::1]/d?sslmode=disable"]))
def test_an_unencoded_password_is_read_or_refused_but_never_shown(password, template):
    try:
        found = parse(template.replace("{}", password))
        said = found.place + repr(found)
    except InvalidInput as exc:
        said = str(exc)
    assert password not in said


def test_a_secret_is_not_pickled_but_copied():
    secret, plain = parse(f"postgresql://u:{SECRET}@h/d"), parse("postgresql://u@h/d?pooler=true")
    with pytest.raises(TypeError, match="password is not pickled"):
        pickle.dumps(secret)
    assert pickle.loads(pickle.dumps(plain)) == plain
    assert copy.deepcopy(secret) == copy.copy(secret) == secret


def test_place_names_host_and_database():
    assert parse("postgresql://u:p@db.example:5433/library").place == "database 'library' on db.example:5433"
    assert parse("service=prod").place == "the default database of service 'prod'"
    assert Conninfo("").place == "the default database on the default host"


def test_the_users_own_options_win_and_timeouts_are_theirs():
    found = conninfo_to_dict(with_options(parse("postgresql://h/d?options=-c%20jit%3Don"), {"jit": "off"}))
    assert found["options"] == "-c jit=off -c jit=on"
    assert (found["connect_timeout"], found["fallback_application_name"]) == ("10", "howdah")
    own = parse("postgresql://h/d?connect_timeout=3&application_name=mine")
    found = conninfo_to_dict(with_options(own, {}))
    assert (found["connect_timeout"], found["application_name"]) == ("3", "mine")
    assert "options" not in found


def test_libpqs_own_defaults_are_kept(monkeypatch):
    monkeypatch.setenv("PGOPTIONS", "-c search_path=app")
    monkeypatch.setenv("PGCONNECT_TIMEOUT", "4")
    found = conninfo_to_dict(with_options(parse("postgresql://h/d"), {"jit": "off"}))
    assert found["options"] == "-c jit=off -c search_path=app"
    assert "connect_timeout" not in found


# -- what a server may be


def test_an_old_server_or_extension_is_named():
    with pytest.raises(DatabaseUnavailable, match="the server is PostgreSQL 13 and Howdah needs 14 or newer; upgrade"):
        check_versions(130_014, "0.8.4", "library")
    with pytest.raises(ExtensionMissing, match="'library' has no pgvector; run: howdah db migrate"):
        check_versions(160_000, None, "library")
    with pytest.raises(
        ExtensionMissing, match=r"pgvector 0\.7\.4 and Howdah needs 0\.8\.0 or newer; .*ALTER EXTENSION"
    ):
        check_versions(160_000, "0.7.4", "library")
    check_versions(140_000, "0.8.0", "library")


def test_a_pgvector_that_damages_indexes_is_warned_of():
    known = {"version": 160_000, "read_only": False, "vector_schema": "public", "types": {}, "settings": {}}
    warned = {
        version: Server(vector_version=version, pooler=False, prepares=True, **known).warning
        for version in ((0, 8, 0), (0, 8, 3), (0, 8, 4), (0, 9, 0))
    }
    assert [version for version, warning in warned.items() if warning] == [(0, 8, 0), (0, 8, 3)]
    assert str(warned[0, 8, 3]).startswith("pgvector 0.8.3 can corrupt HNSW indexes on vacuum (fixed in 0.8.4)")


def test_only_lost_connections_are_tried_again():
    from psycopg import InterfaceError, OperationalError, ProgrammingError, errors
    from psycopg_pool import PoolTimeout

    lost = [OperationalError("gone"), InterfaceError("the connection is closed"), errors.AdminShutdown("x")]
    lost += [
        errors.ConnectionFailure("x"),
        errors.ProtocolViolation("server conn crashed?"),
        errors.IdleSessionTimeout("x"),
    ]
    assert all(map(died, lost))
    kept = [ProgrammingError("x"), errors.QueryCanceled("x"), errors.DiskFull("x"), PoolTimeout("x"), ValueError("x")]
    assert not any(map(died, kept))


def test_parsing_logs_nothing(caplog):
    with caplog.at_level(logging.DEBUG):
        parse(f"postgresql://u:{SECRET}@h/d")
    assert caplog.text == ""
