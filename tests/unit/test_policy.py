"""What becomes of a sentence: repaired, corrected, marked or dropped; and what the answer says of how it was checked."""

from collections.abc import Sequence
from typing import Any

import pytest
from langchain_core.documents import Document

from howdah.chains import Answer, rag_chain
from howdah.chains.quotations import requoted
from howdah.chains.types import Check, Evidence
from howdah.chains.verify import Passage, support
from howdah.retrieval.types import Hit
from tests.scripted import ListRetriever, Scripted

SHIP = "The mast is 31 metres tall. The keel was laid in 1859 at Poplar. PgBouncer is supported on board."
CREW = "The crew numbered 28 sailors. The cook wrote “we never saw such  a\nstorm” in his diary. He was no sailor."
QUESTION = "What of the mast, the keel, the crew and the cook?"


class Opinions:
    """A reranker that ranks all passages alike, and scores sentences by `score`; keeps what it was asked."""

    def __init__(self, score: float) -> None:
        self.score, self.asked = score, list[tuple[str, list[str]]]()

    def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        if query == QUESTION:
            return [0.9 for _ in texts]
        self.asked.append((query, list(texts)))
        return [self.score for _ in texts]


async def ask(text: str, **options: Any) -> Answer:
    documents = [
        Document(page_content=content, metadata={"_howdah": {"id": name, "start": 100, "end": 100 + len(content)}})
        for name, content in (("ship", SHIP), ("crew", CREW))
    ]
    made = rag_chain(ListRetriever(documents=documents), Scripted(text=text), **options)
    answer = made.invoke(QUESTION)
    assert await made.ainvoke(QUESTION) == answer
    return answer


@pytest.mark.parametrize(
    ("unsupported", "text", "status", "reason"),
    [
        ("repair", "The crew numbered 28 sailors. [1]", "repaired", "words"),
        ("drop", "", "dropped", "words"),
        ("mark", "The crew numbered 28 sailors. [1]", "repaired", "words"),
    ],
)
async def test_a_false_citation(unsupported: str, text: str, status: str, reason: str) -> None:
    answer = await ask("The crew numbered 28 sailors [1].", unsupported=unsupported)
    if text:
        assert answer.text == text
    assert (answer.model == "extractive") == (not text)
    assert (answer.checks[0].status, answer.checks[0].reason) == (status, reason)


async def test_no_citation_at_all_is_dropped_by_drop() -> None:
    answer = await ask("The crew numbered 28 sailors. The mast is 31 metres tall [1].", unsupported="drop")
    assert answer.text == "The mast is 31 metres tall. [1]"
    assert [check.reason for check in answer.checks] == ["uncited", ""]


@pytest.mark.parametrize(
    ("sentence", "marked"),
    [
        ("The rigging was made of Manila rope [1].", True),
        ("PgBouncer is not supported on board [1].", True),
        ("The captain was called Moodie [2].", True),
        ("The mast is 47 metres tall [1].", False),
        ("Zebras weigh 47 stones [1].", False),
        ("The mast of Manila rope is 31 feet tall [1].", False),
        ("The rigging is described at https://evil.example [1].", False),
        ("The rigging is described by rigging@evil.example [1].", False),
        ('{"rigging": "Manila rope"}', False),
        ("tie(rope='Manila')", False),
    ],
)
async def test_mark_shows_what_nothing_holds_but_never_a_number_or_a_link(sentence: str, *, marked: bool) -> None:
    answer = await ask(f"The mast is 31 metres tall [1]. {sentence}", unsupported="mark")
    shown = sentence.replace(" [1]", "").replace(" [2]", "") + " [unsupported]"
    assert answer.text == "The mast is 31 metres tall. [1]" + (f" {shown}" if marked else "")
    assert answer.checks[-1].status == ("marked" if marked else "dropped")
    assert answer.checks[-1].n == ()


async def test_what_is_only_marked_is_followed_by_quotes() -> None:
    answer = await ask("The rigging was made of Manila rope [1].", unsupported="mark")
    assert answer.text.startswith("The rigging was made of Manila rope. [unsupported] ")
    assert (answer.model, bool(answer.citations)) == ("extractive", True)
    assert "no passage held" in (answer.note or "")


async def test_mark_does_not_repeat_the_instructions() -> None:
    leak = "You answer questions from numbered passages, and from nothing else."
    answer = await ask(f"The mast is 31 metres tall [1]. {leak}", unsupported="mark")
    assert answer.text == "The mast is 31 metres tall. [1]"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("The kel was layd in 1859 at Poplar [1].", "The keel was laid in 1859 at Poplar. [1]"),
        ("PgBouncr is suported on board [1].", "PgBouncer is supported on board. [1]"),
        ("Keel was laid in 1859, at Popler [1].", "The keel was laid in 1859 at Poplar. [1]"),
    ],
)
async def test_a_near_copy_is_shown_as_the_passage_has_it(said: str, expected: str) -> None:
    answer = await ask(said)
    assert (answer.text, answer.checks[0].status) == (expected, "corrected")
    assert answer.citations[0].quote == expected.removesuffix(" [1]")


@pytest.mark.parametrize(
    "said",
    [
        "The keel was laid in 1858 at Poplar [1].",
        "The keel was laid in 1859 at Berlin [1].",
        "PgBouncer is not supported on board [1].",
    ],
)
async def test_another_number_name_or_sense_is_no_misspelling(said: str) -> None:
    assert (await ask(said)).checks[0].status == "dropped"


async def test_a_sentence_said_wrongly_and_rightly_is_said_once() -> None:
    answer = await ask("The kel was layd in 1859 at Poplar [1]. The keel was laid in 1859 at Poplar [1].")
    assert answer.text == "The keel was laid in 1859 at Poplar. [1]"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ('The cook wrote "we never saw such a storm" [2].', 'The cook wrote "we never saw such a storm". [1]'),
        ("The cook wrote “we never seen such a storm.” [2]", "The cook wrote “we never saw such a storm.” [1]"),
        ('The cook wrote "we never saw such a storm [2]."', 'The cook wrote "we never saw such a storm." [1]'),
        ('The "cook" wrote in his "beloved" diary [2].', 'The "cook" wrote in his beloved diary. [1]'),
        ("The cook wrote „in his diary“ [2].", "The cook wrote „in his diary“. [1]"),
        ("The cook's diary isn't 'a book' [2].", None),
    ],
)
async def test_quotation_marks_stand_around_a_passages_words_alone(said: str, expected: str | None) -> None:
    answer = await ask(said)
    if expected is None:
        assert "'a book'" not in answer.text
    else:
        assert answer.text == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('5" by 7" and `"x y z"`', '5" by 7" and `"x y z"`'),
        ("“never said”", "never said"),
        ("«31 METRES»", "«31 metres»"),
        ("“never saw such a storm” and “nothing”", "“never saw such a storm” and nothing"),
        ("“”", "“”"),
        ('"unclosed', '"unclosed'),
    ],
)
def test_requoted(text: str, expected: str) -> None:
    assert requoted(text, [SHIP, CREW]) == expected


PARAPHRASE = "The cook kept notes in a diary [2]."


@pytest.mark.parametrize(("score", "held"), [(0.9995, True), (0.99, False)])
async def test_a_second_opinion_lets_a_paraphrase_pass(score: float, *, held: bool) -> None:
    opinions = Opinions(score)
    answer = await ask(PARAPHRASE, reranker=opinions)
    check = answer.checks[0]
    assert (check.status, check.opinion) == ("supported" if held else "dropped", score)
    assert 0.5 <= (check.share or 0) < 0.7
    assert opinions.asked[0] == (
        "The cook kept notes in a diary.",
        ["The cook wrote “we never saw such  a\nstorm” in his diary."],
    )
    if held:
        assert answer.text == "The cook kept notes in a diary. [1]"
        assert answer.citations[0].quote == opinions.asked[0][1][0]


async def test_without_a_reranker_there_is_none() -> None:
    check = (await ask(PARAPHRASE)).checks[0]
    assert (check.status, check.reason, check.opinion) == ("dropped", "words", None)


@pytest.mark.parametrize(
    "said",
    [
        "The mast is 47 metres tall [1].",
        "The mast is 31 feet tall [1].",
        "The cook Nelson wrote in his diary of storms [2].",
        "The cook never wrote in his diary [2].",
        "The cook wrote in his diary at https://evil.example [2].",
        "The weather was fine for most of the voyage [2].",
    ],
)
async def test_a_second_opinion_overrules_nothing_else(said: str) -> None:
    opinions = Opinions(1.0)
    answer = await ask(said, reranker=opinions)
    assert answer.checks[0].status == "dropped"
    assert answer.checks[0].opinion is None


async def test_the_small_model_gets_no_second_opinion() -> None:
    answer = await ask(PARAPHRASE, reranker=Opinions(1.0))
    assert answer.checks[0].status == "supported"
    documents = [Document(page_content=CREW)]
    small = rag_chain(
        ListRetriever(documents=documents), Scripted(text=PARAPHRASE, model_name="smollm2"), reranker=Opinions(1.0)
    ).invoke(QUESTION)
    assert small.checks[0].status == "dropped"


async def test_checks_say_what_was_verified_and_how() -> None:
    answer = await ask(
        "The mast is 31 metres tall [1]. The crew of the ship numbered 28 sailors [1]. It had wings [2]."
    )
    whole = len("The crew numbered 28 sailors.")
    assert answer.checks == (
        Check(status="supported", n=(1,), share=1.0, evidence=(Evidence(id="ship", start=100, end=126),)),
        Check(
            status="repaired",
            reason="words",
            n=(2,),
            share=0.8,
            evidence=(Evidence(id="crew", start=100, end=100 + whole),),
        ),
        Check(status="dropped", reason="words", share=0.0),
    )
    assert answer.to_dict()["checks"][0] == {
        "status": "supported",
        "reason": "",
        "share": 1.0,
        "opinion": None,
        "n": [1],
        "evidence": [{"id": "ship", "start": 100, "end": 126}],
    }


def test_words_divided_at_the_end_of_a_line_are_whole() -> None:
    content = "The inter-\nnational treaty was signed in Lon-\ndon."
    found = support("The treaty, international, was signed in London.", Passage.of(_hit(content)))
    assert found.holds


def _hit(content: str) -> Hit:
    return Hit(id="1", content=content, metadata={}, score=1.0)
