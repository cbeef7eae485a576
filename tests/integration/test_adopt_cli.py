"""`howdah adopt` as people and programs call it."""

import json
import shlex
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding
from psycopg.sql import SQL, Identifier

from howdah import NotAdopted, PGVector
from howdah.scripts.main import _run

Run = Callable[..., tuple[int, dict[str, Any]]]
V1 = """
    CREATE TABLE langchain_pg_collection (uuid uuid PRIMARY KEY, name varchar NOT NULL UNIQUE, cmetadata json);
    CREATE TABLE langchain_pg_embedding (
        id varchar PRIMARY KEY, collection_id uuid REFERENCES langchain_pg_collection (uuid), embedding vector,
        document varchar, cmetadata jsonb);
    INSERT INTO langchain_pg_collection
    SELECT uuid_in(md5(name)::cstring), name FROM unnest(ARRAY['my docs', 'items']) AS name;
    INSERT INTO langchain_pg_embedding
    SELECT name || n, uuid_in(md5(name)::cstring), ARRAY[n, 1]::vector, 'Mars has moon number ' || n, '{"year": 1877}'
    FROM unnest(ARRAY['my docs', 'items']) AS name, generate_series(1, 12) AS n;
"""
V2 = """
    CREATE SCHEMA shop;
    CREATE TABLE shop.items (langchain_id uuid PRIMARY KEY DEFAULT gen_random_uuid(), content text NOT NULL,
        embedding vector(2) NOT NULL, content_tsv tsvector, year int, langchain_metadata json);
    INSERT INTO shop.items (content, embedding, year, langchain_metadata)
    SELECT 'Text ' || n, ARRAY[n, 1]::vector, n, '{"year": 0}' FROM generate_series(1, 5) AS n;
    CREATE INDEX by_l2 ON shop.items USING hnsw (embedding vector_l2_ops);
"""
LLAMA = """
    CREATE TABLE data_essay (id bigserial PRIMARY KEY, text varchar NOT NULL, metadata_ json, node_id varchar,
        embedding vector(2));
    INSERT INTO data_essay (text, metadata_, node_id, embedding) VALUES ('a', '{}', 'x', '[1,2]'), ('b', '{}', 'y', NULL);
"""
KEYS = {
    "collection", "source", "rows", "dimensions", "storage", "metric", "metric_from", "model", "language", "config",
    "exists", "check", "seconds",
}  # fmt: skip


@pytest.fixture
def howdah(url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setenv("HOWDAH_DATABASE_URL", url)
    monkeypatch.delenv("HOWDAH_EMBEDDINGS", raising=False)
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(SQL("ALTER DATABASE {} SET search_path = public").format(Identifier(conn.info.dbname)))
    with psycopg.connect(url, autocommit=True) as conn:
        for script in (V1, V2, LLAMA):
            conn.execute(script.encode())

    def run(*arguments: str) -> tuple[int, dict[str, Any]]:
        capsys.readouterr()
        code = _run([*arguments, "--json"])
        return code, json.loads(capsys.readouterr().out)

    return run


def test_the_list_has_a_command_for_each_that_works(howdah: Run) -> None:
    code, found = howdah("adopt")
    assert code == 0
    assert [(row["collection"], row["rows"], row["in_howdah"]) for row in found["adoptable"]] == [
        ("essay", 2, None), ("items", 12, None), ("my docs", 12, None), ("items", 5, None),
    ]  # fmt: skip
    commands = [row["command"] for row in found["adoptable"]]
    assert commands == [
        "howdah adopt --table public.data_essay",
        "howdah adopt --collection items --table public.langchain_pg_embedding",
        "howdah adopt --collection 'my docs'",
        "howdah adopt --table shop.items",
    ]
    for command in commands[:3]:
        code, done = howdah(*shlex.split(command)[1:])
        assert (code, len(done["adopted"]), done["failures"]) == (0, 1, [])
        assert set(done["adopted"][0]) == KEYS
    assert [row["in_howdah"] for row in howdah("adopt")[1]["adoptable"]] == [1, 12, 12, 12]


def test_a_name_that_could_be_several_is_asked_about(howdah: Run) -> None:
    code, said = howdah("adopt", "-c", "items")
    assert (code, said["error"]["kind"]) == (2, "InvalidInput")
    assert "public.langchain_pg_embedding, shop.items" in said["error"]["message"]
    assert "--table" in said["error"]["hint"]
    assert howdah("adopt", "-c", "nope")[1]["error"]["kind"] == "NotFound"
    assert "--collection" in howdah("adopt", "--table", "langchain_pg_embedding")[1]["error"]["hint"]


def test_the_command_in_not_adopted_works(howdah: Run, url: str) -> None:
    with PGVector(DeterministicFakeEmbedding(size=2), connection=url, collection_name="my docs") as store:
        with pytest.raises(NotAdopted) as raised:
            store.similarity_search("x")
        command = raised.value.hint.removeprefix("run: howdah ")
        assert howdah(*shlex.split(command))[0] == 0
        assert len(store.similarity_search("x", k=100)) == 12
        store.database.close()


def test_a_dry_run_says_all_and_writes_nothing(howdah: Run) -> None:
    code, found = howdah("adopt", "--table", "shop.items", "--dry-run")
    (plan,) = found["would_adopt"]
    assert code == 0
    assert set(plan) == KEYS
    assert plan["source"]["columns"] == {
        "id": "langchain_id", "content": "content", "embedding": "embedding", "metadata": "langchain_metadata",
        "merged": {"year": "integer"}, "unmapped": {"content_tsv": "tsvector"}, "clashes": {"year": 5},
    }  # fmt: skip
    assert (plan["dimensions"], plan["metric"], plan["metric_from"], plan["storage"]) == (
        2,
        "l2",
        "index by_l2",
        "vector",
    )
    assert plan["source"]["indexes"] == ["CREATE INDEX by_l2 ON shop.items USING hnsw (embedding vector_l2_ops)"]
    assert howdah("collections", "list")[1] == {"collections": []}


def test_all_adopts_what_it_can_and_lists_what_it_cannot(howdah: Run, url: str) -> None:
    code, done = howdah("adopt", "--all")
    assert code == 1
    assert [(row["collection"], row["rows"]["added"]) for row in done["adopted"]] == [
        ("essay", 1), ("items", 12), ("my docs", 12),
    ]  # fmt: skip
    assert done["adopted"][0]["rows"]["without_embedding"] == 1
    (failure,) = done["failures"]
    assert failure["source"] == "shop.items"
    assert "--into" in failure["hint"]


def test_flags_that_do_not_go_together(howdah: Run) -> None:
    for given in (("--all", "-c", "x"), ("--id", "a"), ("--into", "x"), ("-c", "my docs", "--metric", "hamming")):
        assert howdah("adopt", *given)[0] == 2


def test_search_after_it_works_by_words_and_asks_for_the_model(howdah: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    howdah("adopt", "-c", "my docs")
    assert len(howdah("search", "moon", "-c", "my docs", "--mode", "lexical")[1]["hits"]) == 10
    code, said = howdah("search", "moon", "-c", "my docs")
    assert code == 2
    assert "HOWDAH_EMBEDDINGS" in said["error"]["hint"]
    assert howdah("db", "maintain", "-c", "my docs")[0] == 0
    monkeypatch.setenv("HOWDAH_EMBEDDINGS", "local")
    code, said = howdah("adopt", "-c", "my docs")
    assert (code, "makes 384 dimensions" in said["error"]["message"]) == (2, True)


def test_a_server_without_the_schema_is_left_alone_unless_told(howdah: Run, url: str) -> None:
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("DROP SCHEMA howdah CASCADE")
    assert howdah("adopt", "-c", "my docs", "--dry-run")[0] == 0
    code, said = howdah("adopt", "-c", "my docs")
    assert (code, said["error"]["kind"]) == (3, "SchemaMissing")
    assert howdah("adopt", "-c", "my docs", "--yes")[0] == 0


def test_a_person_sees_the_same(howdah: Run, capsys: pytest.CaptureFixture[str]) -> None:
    def shown(*arguments: str) -> str:
        capsys.readouterr()
        assert _run(["adopt", *arguments]) == 0
        return capsys.readouterr().out

    assert "howdah adopt --table shop.items" in shown()
    assert "embedding vector_l2_ops" in shown("--table", "shop.items", "--dry-run")
    done = shown("--table", "shop.items")
    assert "Adopted into items from shop.items: 5 added" in done
    assert "5 of 5 exact searches find the same top 10" in done
