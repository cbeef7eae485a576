"""Rows of langchain-postgres and LlamaIndex, taken over: exactly as they were, all or none, and their tables untouched."""

import asyncio
import json
import random
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import psycopg
import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from psycopg.sql import SQL, Identifier

from howdah import PGVector
from howdah.retrieval.adopt import Options, adopt, plan
from howdah.retrieval.adopt_find import adoptable, table_sources
from howdah.retrieval.adopt_report import Adoption
from howdah.retrieval.adopt_sources import Kind, Named
from howdah.retrieval.collection import UNKNOWN_MODEL, Metric, Storage
from howdah.retrieval.errors import (
    AdoptionDiffers,
    CollectionMismatch,
    DatabaseUnavailable,
    DimensionMismatch,
    InvalidInput,
    NotAdopted,
    NotFound,
    SchemaMissing,
)
from howdah.retrieval.store import Store
from tests.integration import checks, peers, recount

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning:langchain_postgres", "ignore::sqlalchemy.exc.SAWarning"
)

METADATA: list[dict[str, Any]] = [
    {},
    {"year": 1877, "tags": ["a", "b"], "deep": {"x": [1, {"y": None}]}},
    {"ünï cödé": "Ωmega 🪐", 'quote"d': "back\\slash", "big": 12345678901234567890, "float": 1.5e-7},
    {"none": None, "true": True, "empty": "", "zero": 0, "list": []},
]
TEXTS = ["Mars has two moons.", "Venus has no moon at all.", "Jupiter has 95 moons.", "Halley is a comet. 🪐 \\u0000"]


def vectors_of(texts: list[str], size: int = 16) -> list[list[float]]:
    return [[float(x) for x in row] for row in DeterministicFakeEmbedding(size=size).embed_documents(texts)]


NOTHING_NAMED = Named()


def one(store: Store, collection: str | None = None, table: str | None = None, named: Named = NOTHING_NAMED) -> Any:
    found = table_sources(store, table, named) if table else adoptable(store)
    (source,) = [source for source in found if collection in (None, source.collection)]
    return source


def take(store: Store, collection: str | None = None, table: str | None = None, **said: Any) -> Adoption:
    named = said.pop("named", NOTHING_NAMED)
    return adopt(store, one(store, collection, table, named), Options(**said))


def documents(url: str, name: str, size: int = 16) -> dict[str, Document]:
    with PGVector(DeterministicFakeEmbedding(size=size), connection=url, collection_name=name) as opened:
        found = {doc.id or "": doc for doc in opened.similarity_search("x", k=1_000)}
        opened.database.close()
    return found


@pytest.fixture(autouse=True)
def in_public(url: str) -> None:
    """The tests' role is called howdah, and a schema of that name would come first."""
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(SQL("ALTER DATABASE {} SET search_path = public").format(Identifier(conn.info.dbname)))


@pytest.fixture
def run(url: str) -> Iterator[Callable[..., None]]:
    with psycopg.connect(url, autocommit=True) as conn:

        def execute(sql: str, params: Any = None) -> Any:
            cursor = conn.execute(SQL(sql), params)
            return cursor.fetchall() if cursor.description else None

        yield execute


@pytest.fixture
def theirs(url: str, embeddings: DeterministicFakeEmbedding) -> Iterator[Any]:
    """A collection of langchain-postgres' PGVector with four rows."""
    old = peers.langchain_store(url, embeddings, "docs", collection_metadata={"owner": "ann"})
    old.add_texts(TEXTS, METADATA, ids=["a", "b", "c", "d"])
    yield old
    old._engine.dispose()


V1 = ("langchain_pg_embedding", "langchain_pg_collection")


# -- langchain-postgres' PGVector


def test_a_collection_comes_over_as_it_was_and_its_tables_stay(theirs: Any, store: Store, url: str) -> None:
    with pytest.raises(NotAdopted, match="4 rows"):
        documents(url, "docs")
    before = peers.checksum(url, *V1)
    report = take(store, "docs")
    assert peers.checksum(url, *V1) == before
    assert (report.added, report.updated, report.unchanged, report.rows) == (4, 0, 0, 4)
    assert report.check is not None
    assert (report.check.queries, report.check.same, report.check.agreement) == (4, 4, 1.0)
    found = documents(url, "docs")
    assert {i: (doc.page_content, doc.metadata) for i, doc in found.items()} == {
        i: (text, metadata) for i, text, metadata in zip("abcd", TEXTS, METADATA, strict=True)
    }
    collection = store.get("docs")
    assert (collection.spec.storage, collection.spec.metric) == (Storage.VECTOR, Metric.COSINE)
    assert collection.spec.metadata == {"owner": "ann"}
    checks.check_whole(store, "docs")
    recount.check(collection, url)


def test_vectors_are_the_same_to_the_last_bit(theirs: Any, store: Store, run: Callable[..., Any]) -> None:
    take(store, "docs")
    chunks = store.get("docs").chunks.as_string(None)
    old = run("SELECT id, embedding::text FROM langchain_pg_embedding ORDER BY id")
    assert run(f"SELECT id, embedding::text FROM {chunks} ORDER BY id") == old


def test_words_are_searched_after_it(
    theirs: Any, store: Store, url: str, embeddings: DeterministicFakeEmbedding
) -> None:
    take(store, "docs")
    with PGVector(embeddings, connection=url, collection_name="docs") as opened:
        assert [hit.id for hit in opened.hits("comet", search_type="lexical")] == ["d"]
        assert opened.hits("moons of Jupiter", k=1)[0].id == "c"
        opened.database.close()


def test_twice_updates_what_changed_and_adds_what_is_new(theirs: Any, store: Store, url: str) -> None:
    take(store, "docs")
    numbers = checks.numbers(store, "docs")
    again = take(store, "docs")
    assert (again.added, again.updated, again.unchanged) == (0, 0, 4)
    theirs.add_texts(["Mars is red.", "Pluto is small."], [{"n": 1}, {"n": 2}], ids=["a", "e"])
    report = take(store, "docs")
    assert (report.added, report.updated, report.unchanged) == (1, 1, 3)
    found = documents(url, "docs")
    assert set(found) == set("abcde")
    assert (found["a"].page_content, found["a"].metadata) == ("Mars is red.", {"n": 1})
    assert {i: n for i, n in checks.numbers(store, "docs").items() if i != "e"} == numbers
    checks.check_whole(store, "docs")
    recount.check(store.get("docs"), url)


def test_only_metadata_or_only_a_vector_changed_is_seen(theirs: Any, store: Store, run: Callable[..., Any]) -> None:
    take(store, "docs")
    run("UPDATE langchain_pg_embedding SET cmetadata = '{\"year\": 1}' WHERE id = 'a'")
    run(
        "UPDATE langchain_pg_embedding SET embedding = (SELECT embedding FROM langchain_pg_embedding WHERE id = 'c')"
        " WHERE id = 'b'"
    )
    report = take(store, "docs")
    assert (report.added, report.updated, report.unchanged) == (0, 2, 2)


def test_rows_that_were_added_to_the_copy_stay_and_do_not_spoil_the_proof(
    theirs: Any, store: Store, url: str, embeddings: DeterministicFakeEmbedding
) -> None:
    take(store, "docs")
    with PGVector(embeddings, connection=url, collection_name="docs") as opened:
        opened.add_texts(TEXTS, ids=["w", "x", "y", "z"])
        opened.database.close()
    report = take(store, "docs")
    assert (report.unchanged, report.added) == (4, 0)
    assert len(documents(url, "docs")) == 8


def test_collections_of_one_table_are_kept_apart(theirs: Any, store: Store, url: str, run: Callable[..., Any]) -> None:
    other = peers.langchain_store(url, DeterministicFakeEmbedding(size=16), 'Mixed Case "x" 100%')
    other.add_texts(["Other."], ids=["z"])
    other._engine.dispose()
    assert [source.collection for source in adoptable(store)] == ['Mixed Case "x" 100%', "docs"]
    take(store, 'Mixed Case "x" 100%')
    take(store, "docs")
    assert set(documents(url, 'Mixed Case "x" 100%')) == {"z"}
    assert set(documents(url, "docs")) == set("abcd")


def test_one_id_in_two_collections(store: Store, url: str, run: Callable[..., Any]) -> None:
    """The table's older form names rows by uuid and holds one id in several collections."""
    _old_form(run)
    one_, two = (str(uuid.uuid4()) for _ in range(2))
    run("INSERT INTO langchain_pg_collection VALUES ('one', NULL, %s), ('two', NULL, %s)", [one_, two])
    vectors = vectors_of(["1", "2", "3"])
    for collection, vector, text, given in (
        (one_, 0, "First.", "same"),
        (two, 1, "Second.", "same"),
        (two, 2, "Third.", None),
    ):
        run(
            "INSERT INTO langchain_pg_embedding VALUES (%s, %s, %s, %s, %s, %s)",
            [collection, str(vectors[vector]), text, json.dumps({"n": vector}), given, uuid.UUID(int=vector)],
        )
    take(store, "one")
    take(store, "two")
    assert {i: doc.page_content for i, doc in documents(url, "one").items()} == {"same": "First."}
    assert {i: doc.page_content for i, doc in documents(url, "two").items()} == {
        "same": "Second.", str(uuid.UUID(int=2)): "Third.",
    }  # fmt: skip


def _old_form(run: Callable[..., Any], dimensions: str = "") -> None:
    """langchain-community's tables, with json metadata."""
    run("CREATE TABLE langchain_pg_collection (name varchar, cmetadata json, uuid uuid PRIMARY KEY)")
    run(
        f"""CREATE TABLE langchain_pg_embedding (
            collection_id uuid REFERENCES langchain_pg_collection (uuid) ON DELETE CASCADE, embedding vector{dimensions},
            document varchar, cmetadata json, custom_id varchar, uuid uuid PRIMARY KEY)"""
    )


def test_ids_that_occur_twice_are_refused_and_another_column_can_be_named(
    store: Store, url: str, run: Callable[..., Any]
) -> None:
    _old_form(run)
    collection = str(uuid.uuid4())
    run("INSERT INTO langchain_pg_collection VALUES ('docs', NULL, %s)", [collection])
    for n, vector in enumerate(vectors_of(["1", "2"])):
        row = [collection, str(vector), f"Text {n}.", "{}", "same", uuid.UUID(int=n)]
        run("INSERT INTO langchain_pg_embedding VALUES (%s, %s, %s, %s, %s, %s)", row)
    with pytest.raises(InvalidInput, match=r"1 ids .* occur more than once.*--id"):
        take(store, "docs")
    assert take(store, "docs", "langchain_pg_embedding", named=Named(id="uuid")).added == 2
    assert set(documents(url, "docs")) == {str(uuid.UUID(int=n)) for n in range(2)}


def test_rows_without_an_embedding_or_a_direction_are_left_out_and_counted(
    theirs: Any, store: Store, url: str, run: Callable[..., Any]
) -> None:
    run("UPDATE langchain_pg_embedding SET embedding = NULL WHERE id = 'a'")
    run("UPDATE langchain_pg_embedding SET embedding = %s WHERE id = 'b'", [str([0] * 16)])
    run("UPDATE langchain_pg_embedding SET document = NULL, cmetadata = NULL WHERE id = 'c'")
    report = take(store, "docs")
    assert (report.rows, report.added, report.without_embedding, report.without_direction) == (4, 2, 1, 1)
    assert report.without_text == 1
    found = documents(url, "docs")
    assert set(found) == {"c", "d"}
    assert (found["c"].page_content, found["c"].metadata) == ("", {})


def test_zeros_are_kept_where_the_metric_has_no_use_for_a_direction(
    theirs: Any, store: Store, run: Callable[..., Any]
) -> None:
    run("UPDATE langchain_pg_embedding SET embedding = %s WHERE id = 'b'", [str([0] * 16)])
    assert take(store, "docs", metric=Metric.L2).added == 4


def test_mixed_dimensions_are_refused_with_both_named(theirs: Any, store: Store, run: Callable[..., Any]) -> None:
    run("UPDATE langchain_pg_embedding SET embedding = '[1,2,3]' WHERE id = 'b'")
    with pytest.raises(InvalidInput, match="3 to 16 dimensions"):
        take(store, "docs")
    assert store.find("docs") is None


def test_nothing_to_adopt_is_said(theirs: Any, store: Store, run: Callable[..., Any]) -> None:
    run("UPDATE langchain_pg_embedding SET embedding = NULL")
    with pytest.raises(InvalidInput, match="no row with an embedding"):
        take(store, "docs")


@pytest.mark.parametrize(
    ("opclass", "metric"),
    [("vector_l2_ops", Metric.L2), ("vector_ip_ops", Metric.INNER_PRODUCT), ("vector_cosine_ops", Metric.COSINE)],
)
def test_the_distance_is_the_index_s(
    store: Store,
    url: str,
    embeddings: DeterministicFakeEmbedding,
    run: Callable[..., Any],
    opclass: str,
    metric: Metric,
) -> None:
    run("CREATE TABLE items (id text PRIMARY KEY, content text, embedding vector(16))")
    run(f"CREATE INDEX by_vector ON items USING hnsw (embedding {opclass})")
    run("INSERT INTO items VALUES ('a', 'A.', %s), ('b', 'B.', %s)", [str(v) for v in vectors_of(["a", "b"])])
    report = take(store, table="items")
    assert (report.metric, report.metric_from) == (metric, "index by_vector")
    assert store.get("items").spec.metric is metric


def test_an_expression_s_index_tells_the_distance_too_and_two_distances_want_a_word(
    store: Store, run: Callable[..., Any]
) -> None:
    run("CREATE TABLE items (id text PRIMARY KEY, content text, embedding vector)")
    run("INSERT INTO items VALUES ('a', 'A.', %s)", [str(vectors_of(["a"])[0])])
    run("CREATE INDEX ON items USING hnsw ((embedding::halfvec(16)) halfvec_l2_ops)")
    assert plan(store, one(store, table="items"), Options()).metric is Metric.L2
    run("CREATE INDEX ON items USING hnsw ((embedding::halfvec(16)) halfvec_ip_ops)")
    with pytest.raises(InvalidInput, match="indexes for inner_product and l2"):
        plan(store, one(store, table="items"), Options())
    assert plan(store, one(store, table="items"), Options(metric=Metric.COSINE)).metric is Metric.COSINE


def test_halfvec_is_a_choice_and_its_loss_is_told(theirs: Any, store: Store) -> None:
    report = take(store, "docs", storage=Storage.HALFVEC)
    assert store.get("docs").spec.storage is Storage.HALFVEC
    assert report.check is not None
    assert 0 < report.check.agreement <= 1


# -- langchain-postgres' PGVectorStore


COLUMNS = {
    "year": "integer", "price": "numeric", "made_at": "timestamptz", "day": "date", "tags": "text[]", "ok": "boolean",
    "code": "uuid", "select": "text",
}  # fmt: skip
TYPED = {
    "year": 1877, "price": "9.50", "made_at": "2024-05-01 12:00:00+02", "day": "2024-05-01", "tags": ["x", "y"], "ok": True,
    "code": "00000000-0000-0000-0000-000000000007", "select": "reserved",
}  # fmt: skip
AS_JSON = {
    "year": 1877, "price": 9.5, "made_at": "2024-05-01T10:00:00+00:00", "day": "2024-05-01", "tags": ["x", "y"], "ok": True,
    "code": "00000000-0000-0000-0000-000000000007", "select": "reserved",
}  # fmt: skip


def test_a_table_with_typed_metadata_columns(
    store: Store, url: str, embeddings: DeterministicFakeEmbedding, run: Callable[..., Any]
) -> None:
    ids = [str(uuid.UUID(int=n)) for n in range(3)]

    async def fill() -> None:
        theirs = await peers.langchain_table(
            url, embeddings, "Shop Items", size=16, columns={"year": "integer", "select": "text"}
        )
        await theirs.aadd_texts(TEXTS[:3], [{"year": 1, "other": [1]}, {"select": "s"}, {}], ids=ids)
        await theirs.engine.dispose()

    asyncio.run(fill())
    before = peers.checksum(url, '"Shop Items"')
    source = one(store)
    assert (source.kind, source.collection, source.id, source.content) == (
        Kind.PGVECTORSTORE, "Shop Items", "langchain_id", "content",
    )  # fmt: skip
    take(store, "Shop Items")
    assert peers.checksum(url, '"Shop Items"') == before
    found = documents(url, "Shop Items")
    assert [found[i].page_content for i in ids] == TEXTS[:3]
    assert [found[i].metadata for i in ids] == [
        {"year": 1, "select": None, "other": [1]}, {"year": None, "select": "s"}, {"year": None, "select": None},
    ]  # fmt: skip


def test_columns_become_json_by_the_rule_and_the_column_goes_before_the_json(
    store: Store, url: str, run: Callable[..., Any]
) -> None:
    types = ", ".join(f'"{name}" {kind}' for name, kind in COLUMNS.items())
    run(
        "CREATE TABLE items (langchain_id uuid PRIMARY KEY, content text NOT NULL, embedding halfvec(16) NOT NULL,"
        f" content_tsv tsvector, raw bytea, langchain_metadata json, {types})"
    )
    names = ", ".join(f'"{name}"' for name in COLUMNS)
    marks = ", ".join("%s" for _ in COLUMNS)
    insert = f"INSERT INTO items (langchain_id, content, embedding, langchain_metadata, {names}) VALUES (%s, %s, %s, %s, {marks})"
    given = [{"year": 1600, "more": 1}, {"year": 1877}, {"day": "kept", "select": "reserved"}]
    rows = [TYPED, TYPED, dict.fromkeys(COLUMNS)]
    for n, (metadata, row) in enumerate(zip(given, rows, strict=True)):
        run(insert, [uuid.UUID(int=n), f"Text {n}.", str(vectors_of([str(n)])[0]), json.dumps(metadata), *row.values()])
    run("SET timezone = 'Asia/Tokyo'")
    report = take(store, "items")
    assert report.clashes == {"year": 1}
    assert [column.name for column in report.source.unmapped] == ["content_tsv", "raw"]
    assert report.storage is Storage.HALFVEC
    found = documents(url, "items")
    assert found[str(uuid.UUID(int=0))].metadata == {**AS_JSON, "more": 1}
    assert found[str(uuid.UUID(int=1))].metadata == AS_JSON
    assert found[str(uuid.UUID(int=2))].metadata == {**dict.fromkeys(COLUMNS), "day": "kept", "select": "reserved"}


def test_a_table_out_of_the_search_path_with_names_that_need_quotes(
    store: Store, url: str, run: Callable[..., Any]
) -> None:
    run('CREATE SCHEMA "My.Schema"')
    run(
        'CREATE TABLE "My.Schema"."the ""Table"" 100%" ("Key" bigint PRIMARY KEY, "from" text, "order" vector(16), "a%s" int)',
    )
    run('INSERT INTO "My.Schema"."the ""Table"" 100%%" VALUES (7, %s, %s, 3)', ["Seven.", str(vectors_of(["7"])[0])])
    assert adoptable(store) == []
    report = take(store, table='"My.Schema"."the ""Table"" 100%"', into="seven")
    assert report.added == 1
    assert {i: (doc.page_content, doc.metadata) for i, doc in documents(url, "seven").items()} == {
        "7": ("Seven.", {"a%s": 3})
    }


def test_columns_that_cannot_be_told_are_asked_for(store: Store, run: Callable[..., Any]) -> None:
    run("CREATE TABLE t (a text, b text, v vector(2), w vector(2), j jsonb)")
    run("INSERT INTO t VALUES ('1', 'x', '[1,2]', '[2,1]', '{}')")
    with pytest.raises(InvalidInput, match=r"embedding is not clear.*v, w"):
        take(store, table="t")
    with pytest.raises(InvalidInput, match="id is not clear"):
        take(store, table="t", named=Named(embedding="v"))
    with pytest.raises(InvalidInput, match="no column 'nope'; its columns are a, b, v, w, j"):
        take(store, table="t", named=Named(embedding="nope"))
    with pytest.raises(InvalidInput, match="a is text and must be vector"):
        take(store, table="t", named=Named(embedding="a"))
    report = take(store, table="t", named=Named(embedding="v", id="a", content="b", skip=("j",)))
    assert (report.added, [column.name for column in report.source.unmapped]) == (1, ["w", "j"])
    with pytest.raises(NotFound, match="no table 'nope'"):
        take(store, table="nope")


def test_a_view_and_a_partitioned_table(store: Store, run: Callable[..., Any]) -> None:
    run("CREATE TABLE parts (id int PRIMARY KEY, content text, embedding vector(2)) PARTITION BY RANGE (id)")
    run("CREATE TABLE low PARTITION OF parts FOR VALUES FROM (0) TO (10)")
    run("CREATE TABLE high PARTITION OF parts FOR VALUES FROM (10) TO (20)")
    run("INSERT INTO parts SELECT n, 'Text ' || n, ARRAY[n + 1, 1]::vector FROM generate_series(0, 19) AS n")
    run("CREATE VIEW even AS SELECT * FROM parts WHERE id %% 2 = 0", {})
    assert take(store, table="parts").added == 20
    assert take(store, table="even", named=Named(id="id")).added == 10


# -- LlamaIndex


def test_llamaindex_nodes_come_over_with_all_that_rebuilds_them(store: Store, url: str) -> None:
    schema_ = pytest.importorskip("llama_index.core.schema", reason="the extra 'llamaindex' is not installed")
    utils = pytest.importorskip("llama_index.core.vector_stores.utils")
    parent = schema_.RelatedNodeInfo(node_id="whole")
    nodes = [
        schema_.TextNode(
            id_=f"node-{n}", text=text, metadata=metadata,
            relationships={schema_.NodeRelationship.SOURCE: parent}, excluded_llm_metadata_keys=["year"],
        )
        for n, (text, metadata) in enumerate(zip(TEXTS, METADATA, strict=True))
    ]  # fmt: skip
    peers.llamaindex_table(url, "essay", nodes, vectors_of(TEXTS), schema="llama")
    before = peers.checksum(url, "llama.data_essay")
    source = one(store)
    assert (source.kind, source.collection, source.id) == (Kind.LLAMAINDEX, "essay", "node_id")
    report = take(store, "essay")
    assert peers.checksum(url, "llama.data_essay") == before
    assert [column.name for column in report.source.unmapped] == ["text_search_tsv"]
    found = documents(url, "essay")
    for node in nodes:
        doc = found[node.node_id]
        assert doc.metadata == utils.node_to_metadata_dict(node, remove_text=True, flat_metadata=False)
        assert doc.metadata["ref_doc_id"] == "whole"
        assert utils.metadata_dict_to_node(doc.metadata, text=doc.page_content) == node


def test_a_node_that_was_added_again_is_taken_once_as_it_was_last(store: Store, url: str) -> None:
    schema_ = pytest.importorskip("llama_index.core.schema", reason="the extra 'llamaindex' is not installed")
    texts = ["old", "other", "new"]
    nodes = [schema_.TextNode(id_=i, text=t) for i, t in zip(["x", "y", "x"], texts, strict=True)]
    peers.llamaindex_table(url, "twice", nodes, vectors_of(texts), json_type="jsonb", vector_type="halfvec(16)")
    report = take(store, "twice")
    assert (report.rows, report.added, report.superseded) == (3, 2, 1)
    assert {i: doc.page_content for i, doc in documents(url, "twice").items()} == {"x": "new", "y": "other"}


# -- json that jsonb does not take


def test_json_escapes_that_jsonb_refuses_follow_howdahs_rule(store: Store, url: str, run: Callable[..., Any]) -> None:
    from howdah.retrieval.values import json_value

    pick = random.Random(7)
    atoms = [
        "\\u0000",
        "\\ud83e",
        "\\uDe90",
        "\\ud83e\\ude90",
        "\\\\",
        "\\\\u0000",
        '\\"',
        "a",
        "\\n",
        "\\u00e9",
        "u0000",
    ]
    texts = ['{"k": "' + "".join(pick.choices(atoms, k=pick.randint(0, 7))) + '"}' for _ in range(400)]
    run("CREATE TABLE items (langchain_id int PRIMARY KEY, content text, embedding vector(2), langchain_metadata json)")
    for n, text in enumerate(texts):
        run("INSERT INTO items VALUES (%s, 'x', '[1,2]', %s)", [n, text])
    take(store, "items")
    found = documents(url, "items", size=2)
    assert {int(i): doc.metadata for i, doc in found.items()} == {
        n: json_value(json.loads(text)) for n, text in enumerate(texts)
    }


# -- many rows


def test_pieces_hold_every_row_once(
    store: Store, url: str, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("howdah.retrieval.adopt.PIECE", 30)
    run(
        "CREATE TABLE items (langchain_id int PRIMARY KEY, content text, embedding vector(4), langchain_metadata jsonb)"
    )
    run(
        "INSERT INTO items SELECT n, repeat('Words of text ' || n || ' ', 20), ARRAY[random(), random(), random(), 1]::vector,"
        " jsonb_build_object('n', n) FROM generate_series(1, 400) AS n"
    )
    run("UPDATE items SET content = content || 'x' WHERE langchain_id %% 3 = 0", {})
    seen: list[tuple[int, int]] = []
    report = adopt(store, one(store), Options(), progress=lambda done, total: seen.append((done, total)))
    assert report.added == 400
    assert len(seen) > 8
    assert seen[-1] == (400, 400)
    checks.check_whole(store, "items")
    again = take(store, "items")
    assert (again.unchanged, again.added, again.updated) == (400, 0, 0)


def test_a_failure_on_the_way_leaves_nothing(
    store: Store, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("howdah.retrieval.adopt.PIECE", 10)
    run(
        "CREATE TABLE items (langchain_id int PRIMARY KEY, content text, embedding vector(2), langchain_metadata jsonb)"
    )
    run(
        "INSERT INTO items SELECT n, repeat('x ', 900), ARRAY[n, CASE n WHEN 99 THEN 70000 ELSE 1 END]::vector, '{}'"
        " FROM generate_series(1, 100) AS n"
    )
    with pytest.raises(InvalidInput, match="out of range for type halfvec; nothing was written"):
        take(store, "items", storage=Storage.HALFVEC)
    assert store.find("items") is None
    assert run("SELECT count(*) FROM howdah.collections") == [(0,)]
    assert run("SELECT count(*) FROM pg_tables WHERE schemaname = 'howdah' AND tablename LIKE 'chunks%%'", {}) == [(0,)]


def test_a_copy_that_is_not_the_same_is_rolled_back_and_said(
    theirs: Any, store: Store, url: str, run: Callable[..., Any]
) -> None:
    """Here a trigger of somebody's changes what is written."""
    take(store, "docs")
    chunks = store.get("docs").chunks.as_string(None)
    run(
        "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN NEW.embedding := array_fill(1, ARRAY[16])::vector; RETURN NEW; END $$"
    )
    run(f"CREATE TRIGGER spoil BEFORE UPDATE ON {chunks} FOR EACH ROW EXECUTE FUNCTION spoil()")
    theirs.add_texts(["Mars is red."], ids=["a"])
    with pytest.raises(AdoptionDiffers, match="other rows in collection 'docs'"):
        take(store, "docs")
    assert documents(url, "docs")["a"].page_content == TEXTS[0]


# -- what is refused


def test_a_collection_of_another_origin_is_not_mixed_with(
    theirs: Any, store: Store, url: str, embeddings: DeterministicFakeEmbedding
) -> None:
    with PGVector(embeddings, connection=url, collection_name="mine") as mine:
        mine.add_texts(["Mine."], ids=["a"])
        with pytest.raises(CollectionMismatch, match="made with halfvec and --storage says vector"):
            take(store, "docs", into="mine", storage=Storage.VECTOR)
        with pytest.raises(InvalidInput, match=r"has rows that are not from public.langchain_pg_embedding"):
            take(store, "docs", into="mine")
        mine.database.close()
    assert documents(url, "mine")["a"].page_content == "Mine."


def test_a_collection_of_other_dimensions_is_refused(theirs: Any, store: Store, url: str) -> None:
    with PGVector(DeterministicFakeEmbedding(size=8), connection=url, collection_name="eight") as eight:
        eight.add_texts(["Eight."])
        eight.database.close()
    with pytest.raises(DimensionMismatch):
        take(store, "docs", into="eight")


def test_metadata_that_is_no_object_is_refused(theirs: Any, store: Store, run: Callable[..., Any]) -> None:
    run("UPDATE langchain_pg_embedding SET cmetadata = '[1]' WHERE id = 'a'")
    with pytest.raises(InvalidInput, match=r"1 rows .* not a JSON object"):
        take(store, "docs")


def test_a_user_who_may_not_read_is_told_what_to_run(theirs: Any, url: str, run: Callable[..., Any]) -> None:
    from howdah.retrieval.conninfo import Conninfo
    from howdah.retrieval.database import Database

    role = f"r_{uuid.uuid4().hex[:8]}"
    run(f"CREATE ROLE {role} LOGIN")
    try:
        database = Database(Conninfo(psycopg.conninfo.make_conninfo(url, user=role)))
        store = Store(database)
        (source,) = adoptable(store)
        with pytest.raises(
            DatabaseUnavailable,
            match=f"user {role} may not read public.langchain_pg_embedding.*GRANT SELECT ON .* TO {role};",
        ):
            plan(store, source, Options())
        run(f"GRANT SELECT ON langchain_pg_embedding, langchain_pg_collection TO {role}")
        (source,) = adoptable(store)
        assert plan(store, source, Options()).rows == 4
        with pytest.raises(SchemaMissing, match="permission denied for schema howdah"):
            adopt(store, source, Options())
        run("ALTER TABLE langchain_pg_embedding ENABLE ROW LEVEL SECURITY")
        run(f"CREATE POLICY early ON langchain_pg_embedding TO {role} USING (id < 'c')")
        (source,) = adoptable(store)
        assert source.relation.hidden
        assert plan(store, source, Options()).rows == 2
        database.close()
    finally:
        run(f"DROP OWNED BY {role}")
        run(f"DROP ROLE {role}")


# -- the model


def test_any_model_opens_rows_whose_model_nobody_named(theirs: Any, store: Store, url: str) -> None:
    take(store, "docs")
    assert store.get("docs").spec.model == UNKNOWN_MODEL

    class Named_(DeterministicFakeEmbedding):
        model: str = "provider:some-model"

    with PGVector(Named_(size=16), connection=url, collection_name="docs") as opened:  # a warning would be an error
        assert len(opened.similarity_search("x")) == 4
        opened.database.close()


def test_a_named_model_is_remembered_also_afterwards(theirs: Any, store: Store) -> None:
    take(store, "docs")
    take(store, "docs", model="openai:text-embedding-3-small")
    assert store.get("docs").spec.model == "openai:text-embedding-3-small"
    take(store, "docs")
    assert store.get("docs").spec.model == "openai:text-embedding-3-small"
    with pytest.raises(CollectionMismatch, match="was embedded with"):
        take(store, "docs", model="cohere:embed-v4")
    with pytest.raises(InvalidInput, match="makes 384 dimensions and these rows have 16"):
        take(store, "docs", model="local", into="other")


def test_a_plan_writes_nothing_and_needs_no_schema(theirs: Any, store: Store, run: Callable[..., Any]) -> None:
    run("DROP SCHEMA howdah CASCADE")
    found = plan(store, one(store, "docs"), Options())
    assert (found.rows, found.dimensions, found.added, found.exists) == (4, 16, 0, False)
    assert run("SELECT count(*) FROM pg_namespace WHERE nspname = 'howdah'") == [(0,)]


def test_the_proof_agrees_with_brute_force(store: Store, url: str, run: Callable[..., Any]) -> None:
    """The order that the proof sees is NumPy's: not only the same on both sides."""
    from howdah.retrieval.adopt_proof import Copied, _nearest

    rng = np.random.default_rng(3)
    given = rng.normal(size=(60, 4)).astype(np.float32)
    run(
        "CREATE TABLE items (langchain_id text PRIMARY KEY, content text, embedding vector(4), langchain_metadata jsonb)"
    )
    for n, vector in enumerate(given):
        run("INSERT INTO items VALUES (%s, 'x', %s, '{}')", [f"{n:02}", str(vector.tolist())])
    take(store, "items")
    copied = Copied(source=one(store), collection=store.get("items"), latest=False, undirected=False, shared=True)
    units = given / np.linalg.norm(given, axis=1, keepdims=True)
    with psycopg.connect(url) as conn:
        for query in (0, 17, 59):
            want = [f"{place:02}" for place in np.argsort(1 - units @ units[query], kind="stable")[:10]]
            theirs_, ours = _nearest(conn, copied, f"{query:02}", Storage.VECTOR)
            assert [row_id for row_id, _ in theirs_] == [row_id for row_id, _ in ours] == want
