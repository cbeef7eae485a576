"""Questions from one sentence by its form: `If X, Y` becomes `What happens if X?`. English; pure.

Each form is a function from a plain sentence to questions with their answers. A form asks with the sentence's own words,
so that the question is grammatical where the sentence is; what it leaves out is the answer.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from howdah.chains.evaluation import english
from howdah.chains.evaluation.english import BE, MODALS, THIRD, VERBS, bare, first_person, subject
from howdah.chains.evaluation.wholeness import Pair, whole

_TAIL = re.compile(r"(?<!\bat),?\s(?P<by>when|if|once|because|so that|by(?= \w+ing\b))\s", re.IGNORECASE)
_PLACE = re.compile(
    r"\s(?P<by>in|into|on|at|under|from|as|with|for|by)\s(?!once|all\b|least|most|first|last|it\b|them\b)"
)
_TELLS = english.listed("""
accept call check choose contain control convert copy cover create declare define delete describe disable enable
expect generate ignore include limit list load match mean measure name need print produce provide raise read remove
replace report represent require return run search send show specify store support use validate write
""")
_SITED = english.listed("""
declared defined documented found held installed kept located placed put saved sent shown stored written
""")
_JOINED = english.listed("associated combined compared compatible copied filled provided replaced written signed")
_STORES = english.listed("""
hold install keep load put read save store write
""")
_NO_CLAUSE = english.listed("""
maybe perhaps and as but by especially even for in including like multiple of on or so such than that to which who with
""")
_ORDERS = re.compile(r"(?:please )?(?P<verb>[a-z]+)\b", re.IGNORECASE)


# After these `if` and `when` begin what is asked or spoken of, and no condition.
_TAKES = re.compile(r"\b(?:choose|decide|check|know|say|see|tell|ask|show|situations?|cases?|times?|moments?)$")
_PAST = re.compile(r"\b(?:was|were|had|made|began|became|\w{3,}ed)\b")
_NOUN = re.compile(r"(?:an?|the|its|just|actually|[A-Z`]|\S+'s?)\b|`")  # begins a thing that a subject is said to be
_BEYOND = re.compile(r",? (?:for example|(?:and|but) (?:this|it|that|which)|which|where|but)\b")
_NOW = re.compile(r"\b(?:is|are|can|has|have|will)\b")


_TO = re.compile(
    r"(?:to|(?:if|when) you (?:want|need|prefer|would like|'d like|have) to|in order to) (?P<aim>[a-z]+ [^,]+), (?P<way>.+)",
    re.IGNORECASE,
)
_BY = re.compile(
    r"you can (?P<aim>(?!use|also|see|read|find|learn|get|go)[a-z]+ .+?) (?P<way>(?:by \w+ing|using) .+)",
    re.IGNORECASE,
)
_WITH = re.compile(
    r"(?:you can |you could )?use (?P<way>(?:the |a |an )?(?:\S+ ){0,4}?\S+) to (?P<aim>[a-z]+ .+)", re.IGNORECASE
)
_LETS = re.compile(r"(?P<way>.+?) (?:lets|allows|enables) (?:you|us|me) (?:to )?(?P<aim>[a-z]+ .+)")
_AIMS = (
    (_TO, "How do I {}?", "purpose"),
    (_BY, "How can I {}?", "purpose"),
    (_WITH, "What can I use to {}?", "means"),
    (_LETS, "What lets me {}?", "means"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Sentence:
    """A plain sentence without its full stop; `named` are words that keep their capital inside a sentence."""

    text: str
    named: frozenset[str] = frozenset()


def pairs(sentence: Sentence) -> list[Pair]:
    """All that the forms make of a sentence, those that read best first."""
    return [pair for form in FORMS for pair in form(sentence) if whole(pair)]


def purpose(sentence: Sentence) -> Iterator[Pair]:
    """To V, do X. / If you want to V, do X. / You can V by X. / Use X to V. / X lets you V."""
    for shape, asked, form in _AIMS:
        match = shape.match(sentence.text)
        if match is None or bare(match["aim"].split()[0]) not in VERBS:
            continue
        way: str | None = match["way"]
        if shape is _LETS:
            way = subject(match["way"].split(), sentence.named)
        named_badly = shape is _WITH and way is not None and way.isalpha() and way.islower()  # "use code to define"
        if way and not named_badly and (shape is not _TO or _says(way)):
            yield Pair(asked.format(first_person(match["aim"])), way, form)


def condition(sentence: Sentence) -> Iterator[Pair]:
    """If X, Y. / When X, Y. / Where X, Y."""
    match = re.match(
        r"(?P<if>if|when|where|unless) (?P<case>[^,]+), (?:then )?(?P<then>.+)", sentence.text, re.IGNORECASE
    )
    if not match or re.match(r"you (?:want|need|prefer|would like|have) to\b", match["case"]):
        return
    case, then = first_person(match["case"]), match["then"]
    first = bare(case.split()[0])
    if first in ("not", "set", "used", "given") or (english.participle(first) and not case[0].isupper()):
        return  # its subject is in the sentence before
    if not _says(then) or re.search(r"\b(?:will|would)\b|\blike\b.*`$", case):
        return
    word = match["if"].lower()
    if _orders(then):
        if word != "unless":
            yield Pair(f"What should I do {word} {case}?", then, "condition")
    elif word == "where":
        yield Pair(f"What happens where {case}?", then, "condition")
    elif not re.match(r"(?:you|we|i)\b", then, re.IGNORECASE):
        happens = "happened" if _PAST.search(case) and _PAST.search(then) and not _NOW.search(then) else "happens"
        yield Pair(f"What {happens} {word} {case}?", then, "condition")


def be(sentence: Sentence) -> Iterator[Pair]:
    """S is …: what it is, when, why, where, by what."""
    found = _split(sentence, lambda word: word in BE)
    if found is None:
        return
    said, verb, rest = found
    first = bare(rest.split()[0])
    if (tail := _TAIL.search(rest)) and not _NOUN.match(rest):
        yield from _tailed(f"{verb} {said} {rest[: tail.start()]}", tail["by"], rest[tail.end() :])
        return
    if first in ("a", "an") or (first == "the" and len(rest.split()) > 2):
        if len(said.split()) <= 4 and not said[-1].isdigit():
            yield Pair(f"What {verb} {said}?", _BEYOND.split(rest)[0], "definition")
    elif first in ("called", "named") and len(rest.split()) > 1:
        yield Pair(f"What {verb} {said} {first}?", rest.split(None, 1)[1], "name")
    elif re.match(r"used (?:to|for) ", rest):
        yield Pair(f"What {verb} {said} used for?", rest[5:], "use")
    elif english.participle(first):
        yield from _passive(said, verb, rest)
    elif re.match(r"[$€£]?\d", rest) and len(said.split()) > 2:
        yield Pair(f"What {verb} {said}?", rest, "number")


def _passive(said: str, verb: str, rest: str) -> Iterator[Pair]:
    """`rest` begins with a participle."""
    year = re.search(r"\s(?:in|since) (?P<year>1\d{3}|20\d\d)\b", rest)
    if year and rest[year.end() :].strip() == "":
        yield Pair(f"When {verb} {said} {rest[: year.start()]}?", year["year"], "when")
        return
    match = _PLACE.search(rest)
    if match is None:
        return
    done, by, what = rest[: match.start()], match["by"], rest[match.end() :]
    if by in ("in", "into", "on", "at", "under") and done.split()[0] in _SITED:
        yield Pair(f"Where {verb} {said} {done}?", f"{by} {what}".split(",")[0], "where")
    elif by in ("by", "as", "from") or (by == "with" and bare(done.split()[0]) in _JOINED):
        yield Pair(f"What {verb} {said} {done} {by}?", what, by)


def modal(sentence: Sentence) -> Iterator[Pair]:
    """S can … if X."""
    found = _split(sentence, lambda word: word in MODALS)
    if found is None:
        return
    said, verb, rest = found
    if tail := _TAIL.search(rest):
        yield from _tailed(f"{verb} {said} {rest[: tail.start()]}", tail["by"], rest[tail.end() :])
    elif verb in ("must", "should") and (match := re.match(r"be (?P<what>(?!\w+ed\b|of\b|in\b).+)", rest)):
        yield Pair(f"What {verb} {said} be?", match["what"], "must")


def active(sentence: Sentence) -> Iterator[Pair]:
    """S keeps X in Y: what, where, when, why, how."""
    found = _split(sentence, lambda word: word in THIRD)
    if found is None:
        return
    said, word, rest = found
    base = THIRD[word]
    if tail := _TAIL.search(rest):
        yield from _tailed(f"does {said} {base} {rest[: tail.start()]}", tail["by"], rest[tail.end() :])
        return
    if match := _PLACE.search(rest):
        what, by, where = rest[: match.start()], match["by"], rest[match.end() :]
        if by in ("in", "into", "on", "at", "under") and base in _STORES and not re.match(r"(?:nothing|no)\b", what):
            yield Pair(f"Where does {said} {base} {what}?", f"{by} {where}".split(",")[0], "where")
        elif by in ("for", "with", "as") and base in (
            "use",
            "need",
            "require",
            "recommend",
            "take",
            "offer",
            "provide",
        ):
            yield Pair(f"What does {said} {base} {by} {first_person(where)}?", what, "what")
        return
    if (
        base in _TELLS
        and len(rest.split()) <= 14
        and not re.match(
            r"(?:to|that|how|what|why|whether|up|out|off|down|over|back|away|on|of|about|like|no|and|or)\b", rest
        )
    ):
        yield Pair(f"What does {said} {base}?", rest, "what")


def _tailed(asked: str, by: str, tail: str) -> Iterator[Pair]:
    """The inverted clause `asked`, and what follows its conjunction."""
    by = by.lower()
    if by in ("if", "when") and _TAKES.search(asked):
        return
    asked = first_person(asked.rstrip(" ,"))
    if by in ("because", "so that"):
        yield Pair(f"Why {asked}?", f"{by} {tail}", "why")
    elif by == "by":
        yield Pair(f"How {asked}?", f"by {tail}", "how")
    else:
        yield Pair(f"When {asked}?", f"{by} {tail}", "when")


def _split(sentence: Sentence, verb: Callable[[str], bool]) -> tuple[str, str, str] | None:
    """Subject, verb and rest; None where another verb stands before, or the subject cannot be asked about."""
    found = english.words(sentence.text)
    for place, word in enumerate(found[:9]):
        if place and verb(word):
            said = subject(found[:place], sentence.named)
            rest = " ".join(found[place + 1 :])
            negated = re.match(r"(?:not|never|no)\b", rest)
            return (said, word, rest) if said and rest and not negated else None
        if place and (word in english.AUXILIARIES or word in THIRD or word in ("that", "which", "who")):
            return None
    return None


def _says(text: str) -> bool:
    """Whether `text` can stand as a clause: it orders, or a subject and a verb begin it."""
    found = [bare(word) for word in english.words(text)]
    if _orders(text) or not found or found[0] in _NO_CLAUSE or found[0].endswith("ing") or english.participle(found[0]):
        return found != [] and _orders(text)
    finite = (
        english.AUXILIARIES | VERBS | frozenset(THIRD) | {"do", "does", "don't", "doesn't", "won't", "goes", "it's"}
    )
    return any(word in finite for word in found[1:12])


def _orders(text: str) -> bool:
    """Whether `text` tells the reader to do something."""
    match = _ORDERS.match(text)
    return match is not None and match["verb"].lower() in VERBS


FORMS: Sequence[Callable[[Sentence], Iterator[Pair]]] = (purpose, condition, be, modal, active)
