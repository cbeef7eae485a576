"""XQuAD in English, German and Spanish: does a question find its paragraph? Each language with its own configuration.

240 paragraphs, the same in three languages, and their questions, through the public retriever. The local embedding
model knows English; what it does to German and Spanish is to be seen in the dense column. Data: ../shared/data/xquad.

    python benchmarks/xquad.py
"""

from beir import folder, ndcg, read_jsonl, read_qrels
from corpus import embedded
from known import Known
from scifact import NAMES, rankings
from scratch import scratch_database

from howdah import PGVector
from howdah.retrieval.maintenance import maintain

LANGUAGES = {"english": "", "german": ".de", "spanish": ".es"}


def main() -> None:
    data, qrels = folder("xquad"), read_qrels("xquad")
    print(f"{'nDCG@10 / success@1':22}" + "".join(f"{name:>18}" for name in NAMES.values()), flush=True)
    with scratch_database() as url:
        for config, suffix in LANGUAGES.items():
            corpus = read_jsonl(data / f"corpus{suffix}.jsonl")
            asked = {
                row["_id"]: row["text"] for row in read_jsonl(data / f"queries{suffix}.jsonl") if row["_id"] in qrels
            }
            store = PGVector(Known(asked.values()), connection=url, collection_name=config, config=config)
            texts = [row["text"] for row in corpus]
            store.add_embeddings(texts, embedded(texts), ids=[row["_id"] for row in corpus])
            maintain(store)
            cells = []
            for search_type in NAMES:
                found = rankings(store, asked, search_type, 10)
                score = sum(ndcg(ranking, qrels[id_], 10) for id_, ranking in found.items()) / len(found)
                first = sum(qrels[id_].get(ranking[0], 0) > 0 for id_, ranking in found.items() if ranking) / len(found)
                cells.append(f"{score:.3f} / {first:.3f}")
            print(f"{config:10}{len(asked):4} asked " + "".join(f"{cell:>18}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
