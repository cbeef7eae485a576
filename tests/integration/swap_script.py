"""A program on langchain-postgres as its manual teaches it: test_swap runs it as it is, and with its import edited."""

from langchain_core.documents import Document
from langchain_postgres import PGVector

DOCS = [
    Document("there are cats in the pond", metadata={"id": 1, "location": "pond", "topic": "animals"}),
    Document("ducks are also found in the pond", metadata={"id": 2, "location": "pond", "topic": "animals"}),
    Document("fresh apples are available at the market", metadata={"id": 3, "location": "market", "topic": "food"}),
    Document("the market also sells fresh oranges", metadata={"id": 4, "location": "market", "topic": "food"}),
    Document("the new art exhibit is fascinating", metadata={"id": 5, "location": "museum", "topic": "art"}),
    Document("a sculpture exhibit is also at the museum", metadata={"id": 6, "location": "museum", "topic": "art"}),
    Document("a new coffee shop opened on Main Street", metadata={"id": 7, "location": "Main Street", "topic": "food"}),
    Document("the book club meets at the library", metadata={"id": 8, "location": "library", "topic": "reading"}),
    Document("the library hosts a weekly story time", metadata={"id": 9, "location": "library", "topic": "reading"}),
    Document("a cooking class at the community center", metadata={"id": 10, "location": "community center"}),
]
FILTERS = [
    None,
    {"location": "pond"},
    {"id": {"$in": [1, 5, 2, 9]}},
    {"id": {"$in": [1, 5, 2, 9]}, "location": {"$in": ["pond", "market"]}},
    {"$and": [{"id": {"$in": [1, 5, 2, 9]}}, {"location": {"$in": ["pond", "market"]}}]},
    {"$or": [{"topic": "art"}, {"id": {"$gte": 8}}]},
    {"$not": {"location": "pond"}},
    {"location": {"$ne": "pond"}},
    {"id": {"$between": [3, 6]}},
    {"id": {"$lt": 4}},
    {"location": {"$nin": ["library", "museum"]}},
    {"location": {"$like": "%market%"}},
    {"location": {"$ilike": "MAIN%"}},
    {"topic": {"$exists": True}},
    {"topic": {"$exists": False}},
]


def open_store(embeddings, connection):
    return PGVector(
        embeddings=embeddings, collection_name="my_docs", connection=connection, use_jsonb=True, embedding_length=None
    )


def load(store):
    return store.add_documents(DOCS, ids=[str(doc.metadata["id"]) for doc in DOCS])


def ask(store, model):
    """Everything that the program reads, as plain values."""
    found = {}
    for number, given in enumerate(FILTERS):
        scored = store.similarity_search_with_score("kitty", k=4, filter=given)
        found[f"filter {number}"] = [(doc.id, doc.page_content, doc.metadata) for doc, _ in scored]
        found[f"score {number}"] = [round(score, 4) for _, score in scored]
    vector = model.embed_query("cats")
    found["by vector"] = [doc.id for doc in store.similarity_search_by_vector(vector, k=3)]
    found["scored by vector"] = [doc.id for doc, _ in store.similarity_search_with_score_by_vector(vector, k=3)]
    found["retriever"] = [doc.id for doc in store.as_retriever(search_kwargs={"k": 3}).invoke("oranges")]
    found["filtered retriever"] = [
        doc.id for doc in store.as_retriever(search_kwargs={"k": 2, "filter": {"topic": "food"}}).invoke("oranges")
    ]
    found["mmr"] = {doc.id for doc in store.max_marginal_relevance_search("kitty", k=4, fetch_k=8)}
    found["by ids"] = {doc.id: doc.page_content for doc in store.get_by_ids(["3", "1", "none"])}
    return found


def change(store):
    """Replace, add and delete, and what is left afterwards."""
    store.add_documents([Document("the pond is dry", metadata={"id": 1, "location": "pond"})], ids=["1"])
    store.add_texts(["a new text"], metadatas=[{"id": 11}], ids=["11"])
    store.delete(ids=["3", "4"])
    return [(doc.id, doc.page_content) for doc in store.similarity_search("kitty", k=20)]
