"""Requests to an embedding API: several at once, at the pace that it bears, no larger than it takes."""

import asyncio
import threading

import numpy as np
import pytest
from langchain_core.embeddings import Embeddings

from howdah.retrieval import calls_sync, providers
from howdah.retrieval.calls import Plan
from howdah.retrieval.embeddings import (
    aembed_each,
    aembed_query_with_retry,
    aembed_with_retry,
    embed_each,
    embed_query_with_retry,
    embed_with_retry,
    load_embeddings,
    pace_of_model,
    set_requests_in_flight,
)
from howdah.retrieval.errors import InvalidInput, ModelUnavailable
from howdah.retrieval.pace import MOST, SIZE, Pace
from tests.embedding_api import serving, vector

NUMBERS = [str(number) for number in range(40)]
WANT = np.array([vector(text) for text in NUMBERS], dtype=np.float32)


@pytest.fixture(autouse=True)
def paces(monkeypatch):
    """Each test's own, so that none learns of another's limits."""
    monkeypatch.setattr("howdah.retrieval.pace._paces", {})


@pytest.fixture
def clock(monkeypatch):
    """Time that passes by naps alone."""
    now = [1000.0]

    def nap(waiting, seconds):
        now[0] += seconds

    async def anap(waiting, seconds):
        now[0] += seconds
        await asyncio.sleep(0)

    monkeypatch.setattr("howdah.retrieval.calls_sync.Waiting.nap", nap)
    monkeypatch.setattr("howdah.retrieval.calls_async.Waiting.nap", anap)
    monkeypatch.setattr("howdah.retrieval.pace.monotonic", lambda: now[0])
    return now


@pytest.fixture
def api():
    with serving() as server:
        yield server


def small(model, texts=2):
    """The model, with requests of so many texts."""
    pace_of_model(model).texts = texts
    return model


# -- several at once


async def test_four_requests_are_in_flight_and_results_in_order(api):
    four = threading.Barrier(4, timeout=60)

    def together(number, texts):
        four.wait()  # breaks unless four are here at once

    api.rule = together
    np.testing.assert_array_equal(embed_with_retry(small(api.model()), NUMBERS), WANT)
    assert (api.requests, api.most_in_flight) == (20, 4)
    np.testing.assert_array_equal(await aembed_with_retry(api.model(), NUMBERS), WANT)
    assert (api.requests, api.most_in_flight) == (40, 4)
    assert sorted(api.answered) == sorted(NUMBERS * 2)


def test_the_number_in_flight_can_be_set(api):
    six = threading.Barrier(6, timeout=60)
    api.rule = lambda number, texts: six.wait() and None
    model = small(api.model())
    set_requests_in_flight(model, 6)
    embed_with_retry(model, NUMBERS[:24])
    assert api.most_in_flight == 6
    for wrong in (0, MOST + 1, 2.5, True):
        with pytest.raises(InvalidInput, match="whole number from 1 to 64"):
            set_requests_in_flight(model, wrong)


class House(Embeddings):
    """Of no provider: it may run a model in this process."""

    model = "house-1"

    def __init__(self, act=lambda texts: None):
        self.act, self.threads = act, []

    def embed_documents(self, texts):
        self.threads.append(threading.current_thread())
        self.act(texts)
        return [vector(text) for text in texts]

    def embed_query(self, text):
        return vector(text)

    async def aembed_documents(self, texts):
        self.threads.append(threading.current_thread())
        await self.act(texts)
        return [vector(text) for text in texts]


def test_a_class_that_may_not_bear_threads_is_called_in_the_callers():
    model = small(House())
    np.testing.assert_array_equal(embed_with_retry(model, NUMBERS), WANT)
    assert model.threads == [threading.current_thread()] * 20


def test_requests_are_bounded_by_size():
    sizes, model = [], House()
    model.embed_documents = lambda texts: [[1.0] for text in texts if sizes.append(len(text.encode())) is None]
    texts = ["1" * 400_000, "2" * 400_000, "3" * 400_000, "4" * 2_000_000, "5", "６" * 200_000, "７" * 200_000]
    plan = Plan(model="house-1", texts=texts, pace=pace_of_model(model))
    places = [request.places for request in iter(plan.take, None)]
    # At most 900,000 bytes, of which the wide digits take three each; one that is longer goes alone.
    assert places == [[0, 1], [2], [3], [4, 5], [6]]
    embed_with_retry(model, texts)
    assert sizes == [len(text.encode()) for text in texts]


# -- a failure, Ctrl-C, cancellation: what came back is kept, and nothing hangs


def busy_threads():
    return [thread for thread in threading.enumerate() if thread.name == "howdah-embedding" and thread.is_alive()]


@pytest.fixture
def plan_closed(monkeypatch):
    """Set when a call has stopped to hand out requests."""
    event, close = threading.Event(), Plan.close

    def closed(plan):
        close(plan)
        event.set()

    monkeypatch.setattr(Plan, "close", closed)
    return event


def test_what_is_under_way_when_one_fails_is_kept(plan_closed):
    four = threading.Barrier(4, timeout=60)

    def act(texts):
        four.wait()
        if texts[0] == "4":
            raise TypeError("broken")
        assert plan_closed.wait(60)

    model, kept = small(House(act)), {}
    set_requests_in_flight(model, 4)
    with pytest.raises(TypeError, match="broken"):
        embed_each(model, NUMBERS, lambda places, vectors: kept.update(zip(places, vectors, strict=True)))
    assert sorted(kept) == [0, 1, 2, 3, 6, 7]
    np.testing.assert_array_equal([kept[place] for place in sorted(kept)], WANT[sorted(kept)])
    assert len(model.threads) == 4
    assert busy_threads() == []


async def test_what_is_under_way_when_one_task_fails_is_kept():
    four, failed, kept = asyncio.Barrier(4), asyncio.Event(), []

    async def act(texts):
        await four.wait()
        if texts[0] == "4":
            failed.set()
            raise TypeError("broken")
        await failed.wait()
        for _ in range(10):  # let the failure be noticed
            await asyncio.sleep(0)

    async def keep(places, vectors):
        kept.extend(places)

    model = small(House(act))
    set_requests_in_flight(model, 4)
    with pytest.raises(TypeError, match="broken"):
        await aembed_each(model, NUMBERS, keep)
    assert sorted(kept) == [0, 1, 2, 3, 6, 7]
    assert len(model.threads) == 4


def test_ctrl_c_keeps_what_is_under_way_and_leaves_no_thread(plan_closed):
    four, kept = threading.Barrier(4, timeout=60), []

    def act(texts):
        four.wait()
        assert texts[0] == "0" or plan_closed.wait(60)

    def keep(places, vectors):
        kept.extend(places)
        if len(kept) == 2:
            raise KeyboardInterrupt

    model = small(House(act))
    set_requests_in_flight(model, 4)
    # The first request comes back alone and its thread takes the next one, which finds no three others.
    four.wait = lambda timeout=None, wait=four.wait: wait() if len(model.threads) <= 4 else None
    with pytest.raises(KeyboardInterrupt):
        embed_each(model, NUMBERS, keep)
    assert set(kept) >= set(range(8))
    assert len(kept) <= 10
    assert busy_threads() == []


def test_ctrl_c_does_not_wait_for_a_request_that_hangs(monkeypatch):
    monkeypatch.setattr(calls_sync, "GRACE", 0.0)
    hangs = threading.Event()

    def keep(places, vectors):
        raise KeyboardInterrupt

    model = small(House(lambda texts: None if texts[0] == "0" else hangs.wait(60)))
    set_requests_in_flight(model, 2)
    with pytest.raises(KeyboardInterrupt):
        embed_each(model, NUMBERS, keep)
    hanging = busy_threads()
    assert all(thread.daemon for thread in hanging)
    hangs.set()
    for thread in hanging:
        thread.join(60)
    assert busy_threads() == []


async def test_a_cancelled_call_breaks_off_its_requests():
    under_way, broken_off = [], []
    four, nothing = asyncio.Barrier(5), asyncio.Event()

    async def act(texts):
        under_way.append(texts)
        await four.wait()
        try:
            await nothing.wait()
        except asyncio.CancelledError:
            broken_off.append(texts)
            raise

    model = small(House(act))
    set_requests_in_flight(model, 4)
    call = asyncio.create_task(aembed_with_retry(model, NUMBERS))
    await four.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert sorted(broken_off) == sorted(under_way)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    model.act = lambda texts: asyncio.sleep(0)
    np.testing.assert_array_equal(await aembed_with_retry(model, NUMBERS), WANT)  # no place is taken for ever


# -- rate limits


async def test_a_busy_api_is_waited_for_by_all_and_asked_by_fewer(api):
    four = threading.Barrier(4, timeout=60)

    def busy_at_first(number, texts):
        if number <= 4:
            four.wait()
            return 429, {"Retry-After": "0.05"}, "Rate limit reached"
        return None

    api.rule = busy_at_first
    np.testing.assert_array_equal(embed_with_retry(small(api.model()), NUMBERS, attempts=1), WANT)
    assert api.requests == 24
    assert sorted(api.answered) == sorted(NUMBERS)
    # Four were refused together: that halves once. A third comes when two answers have made room.
    assert max(api.arrived_beside[4:8]) <= 2


async def test_tasks_wait_for_a_busy_api_as_threads_do(api):
    four = threading.Barrier(4, timeout=60)

    def busy_at_first(number, texts):
        if number <= 4:
            four.wait()
            return 503, {"Retry-After": "0.05"}, "overloaded"
        return None

    api.rule = busy_at_first
    np.testing.assert_array_equal(await aembed_with_retry(small(api.model()), NUMBERS, attempts=1), WANT)
    assert max(api.arrived_beside[4:8]) <= 2
    assert sorted(api.answered) == sorted(NUMBERS)


class Busy(Exception):
    def __init__(self, seconds=None, status_code=429):
        super().__init__("Rate limit reached")
        headers = {} if seconds is None else {"retry-after": str(seconds)}
        self.status_code, self.response = status_code, type("Response", (), {"headers": headers})()


def test_rate_limits_cost_a_long_job_no_attempt(clock):
    asked = []

    def act(texts):
        asked.append(texts)
        if len(asked) % 6:
            raise Busy(30)

    np.testing.assert_array_equal(embed_with_retry(small(House(act), 1), NUMBERS, attempts=1), WANT)
    assert clock[0] == 1000 + 40 * 5 * 30  # 100 minutes, but never ten without an answer


@pytest.mark.parametrize("seconds", [None, 45], ids=["its own pauses", "as asked"])
async def test_an_api_that_stays_busy_is_given_up_after_ten_minutes(seconds, clock):
    async def act(texts):
        raise Busy(seconds)

    def fail(texts):
        raise Busy(seconds)

    for call in (
        lambda: embed_with_retry(House(fail), ["1"]),
        lambda: asyncio.run(aembed_with_retry(House(act), ["1"])),
    ):
        began = clock[0]
        with pytest.raises(
            ModelUnavailable, match="'house-1' failed: the API was busy for 10 minutes: Busy: Rate limit"
        ):
            await asyncio.to_thread(call)
        assert 600 < clock[0] - began <= 600 + 2 * 45  # the second call first waits for what the first one was told


def test_a_query_waits_for_few_rate_limits(clock):
    class Limited(House):
        def embed_query(self, text):
            raise Busy(7)

    with pytest.raises(ModelUnavailable, match="failed after 4 attempts"):
        embed_query_with_retry(Limited(), "1")
    assert clock[0] == 1000 + 3 * 7


async def test_a_query_waits_as_all_do_but_not_for_a_place(clock):
    model = House()
    pace = pace_of_model(model)
    pace.enter(lambda: None)
    pace.busy(Busy(7), began=clock[0])  # one place left, and it is taken
    assert embed_query_with_retry(model, "1").tolist() == vector("1")
    assert clock[0] == 1007
    model.aembed_query = lambda text: asyncio.sleep(0, vector(text))
    assert (await aembed_query_with_retry(model, "1")).tolist() == vector("1")


def test_nothing_behind_the_address_is_not_a_rate_limit(clock):
    def act(texts):
        raise Busy(status_code=503)

    model = House(act)
    with pytest.raises(ModelUnavailable, match="failed after 4 attempts"):
        embed_with_retry(model, ["1"])
    model.act = lambda texts: None
    embed_with_retry(model, ["1"])
    model.act = act  # now it is known to answer at times
    with pytest.raises(ModelUnavailable, match="busy for 10 minutes"):
        embed_with_retry(model, ["1"])


# -- the pace by itself


def entered(pace, number):
    return sum(pace.enter(lambda: None) == 0 for _ in range(number))


def test_half_as_many_after_refusals_and_one_more_for_each_round(clock):
    pace = Pace()
    assert entered(pace, 100) == MOST
    for _ in range(MOST - 8):
        pace.leave()
    began = clock[0]
    for _ in range(8):  # refused together
        clock[0] += 0.001
        pace.busy(Busy(1), began=began)
        pace.leave()
    assert pace.enter(lambda: None) == pytest.approx(1)
    clock[0] += 1
    assert entered(pace, 10) == 4  # half of the eight that were under way, once
    for _ in range(5):  # some more than one round, for the width grows within it
        pace.answered(began=clock[0])
    for _ in range(4):
        pace.leave()
    assert entered(pace, 10) == 5
    for _ in range(40):  # those that were sent before the refusals say nothing of now
        pace.answered(began=began)
    assert entered(pace, 10) == 0


def test_a_wait_without_advice_doubles_and_an_answer_ends_that(clock):
    pace, waits = Pace(), []
    for _ in range(7):
        assert pace.enter(lambda: None) == 0
        pace.busy(Busy(), began=clock[0])
        pace.leave()
        waits.append(pace.enter(lambda: None))
        clock[0] += waits[-1]
    ceilings = [0.5, 1, 2, 4, 8, 16, 20]
    assert all(top / 2 <= wait <= top for wait, top in zip(waits, ceilings, strict=True))
    pace.enter(lambda: None)
    pace.answered(began=clock[0])
    pace.busy(Busy(), began=clock[0])
    assert pace.enter(lambda: None) <= 0.5


def test_who_waits_for_a_place_is_rung(clock):
    pace, rung = Pace(), []
    pace.enter(lambda: None)
    pace.busy(Busy(1), began=clock[0])
    clock[0] += 1
    assert pace.enter(lambda: rung.append(1)) == float("inf")
    pace.leave()
    assert rung == [1]
    assert pace.enter(lambda: None) == 0


def test_one_pace_for_a_model_at_an_address(api):
    assert pace_of_model(api.model()) is pace_of_model(api.model(dimensions=2))
    assert pace_of_model(api.model()) is not pace_of_model(api.model("text-embedding-3-large"))
    assert pace_of_model(api.model()) is not pace_of_model(
        api.model().model_copy(update={"openai_api_base": "http://b"})
    )


# -- requests that are too large

COHERE = "invalid request: total number of texts must be at most 96, received 256"
OPENAI = "Requested 313487 tokens, max 300000 tokens per request"
TEI = "batch size 256 > maximum allowed batch size 32"


@pytest.mark.parametrize(("status", "words"), [(400, COHERE), (413, TEI), (422, TEI), (429, "Request too large for m")])
async def test_a_request_that_is_too_large_is_halved_and_the_next_ones_are_no_larger(status, words, api):
    api.rule = lambda number, texts: (status, {}, words) if len(texts) > 3 else None
    model = small(api.model(), 16)
    set_requests_in_flight(model, 1)
    np.testing.assert_array_equal(embed_with_retry(model, NUMBERS), WANT)
    assert sorted(api.answered) == sorted(NUMBERS)
    if status in {400, 422, 413}:
        refused = api.requests - len(api.answered) // 2
        assert refused == 1 + 2 + 4  # 16, 8 + 8, four times 4; then all are of two
        assert pace_of_model(model).texts == 2
        api.answered.clear()
    np.testing.assert_array_equal(await aembed_with_retry(model, NUMBERS), WANT)


def test_texts_that_are_too_long_together_bound_the_size(api):
    api.rule = lambda number, texts: (400, {}, OPENAI) if sum(map(len, texts)) > 100_000 else None
    model, texts = api.model(), [f"{number:040000}" for number in range(12)]
    set_requests_in_flight(model, 1)
    assert embed_with_retry(model, texts)[:, 0].tolist() == list(range(12))
    pace = pace_of_model(model)
    assert pace.texts == 256
    assert pace.size == 80_000
    before = api.requests
    embed_with_retry(model, texts)
    assert api.requests - before == 6  # none was refused


async def test_one_text_that_is_too_long_is_named(api):
    api.rule = lambda number, texts: (400, {}, "maximum context length is 8192 tokens") if "7" * 99 in texts else None
    texts = [*NUMBERS[:10], "7" * 99, *NUMBERS[10:]]
    with pytest.raises(InvalidInput, match=f"embedding 1 text with .* failed.*begins '{'7' * 60}'"):
        embed_with_retry(api.model(), texts)
    with pytest.raises(InvalidInput, match=f"begins '{'7' * 60}'"):
        await aembed_with_retry(api.model(), texts)
    assert pace_of_model(api.model()).texts == 256  # says nothing of other texts
    assert pace_of_model(api.model()).size == SIZE


def test_a_refusal_of_another_kind_is_not_halved(api):
    api.rule = lambda number, texts: (400, {}, "this model does not exist")
    with pytest.raises(InvalidInput, match="embedding 40 texts"):
        embed_with_retry(api.model(), NUMBERS)
    assert api.requests == 1


@pytest.mark.parametrize(
    ("words", "large", "count"),
    [
        (COHERE, True, True),
        (OPENAI, True, False),
        (TEI, True, True),
        ("Too many inputs in request, split into more batches.", True, True),  # Mistral
        ("Too many tokens overall, split into more batches.", True, False),  # Mistral
        ("Too many inputs. The max number of inputs is 16.", True, True),  # Azure
        ("'$.input' is invalid: array too long. Expected an array with maximum length 2048", True, True),  # OpenAI
        ("The max allowed tokens per submitted batch is 120000.", True, False),  # Voyage
        ("The input token count (25000) exceeds the maximum", True, False),  # Vertex AI
        ("This model's maximum context length is 8192 tokens, however you requested 9000", True, False),
        ("unsupported parameter: 'dimensions'", False, False),
    ],
)
def test_words_of_providers_are_understood(words, large, count):
    error = Busy(status_code=400)
    error.args = (words,)
    assert providers.too_large(error) is large
    assert providers.speaks_of_count(error) is count


def test_words_in_the_body_of_a_response_count():
    error = Busy(status_code=400)
    error.response.text = '{"message": "too many inputs"}'
    assert providers.too_large(error)


def test_a_client_of_openai_leaves_retries_to_the_pace(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-nothing")
    assert load_embeddings("openai:text-embedding-3-small").max_retries == 0
