"""The English that questions are made with: verbs, auxiliaries, persons, and what a question must not point at. Pure."""

import re
from collections.abc import Sequence


def listed(text: str) -> frozenset[str]:
    """The words of a list."""
    return frozenset(text.split())


VERBS = listed("""
accept add allow apply ask avoid begin block build call carry change check choose collect combine compare compile compress
configure connect consist contain control convert copy cost count cover create decide declare define delete deliver depend
describe detect determine disable download drop embed enable encode encrypt end ensure estimate execute expect explain
export extract fetch fill filter find fit fold follow force form format generate get give grow guarantee handle hide hold
ignore import improve include increase index inherit inject install keep lead learn leave let limit list load lock lose make
manage map mark match mean measure merge migrate monitor mount move name need obtain occur offer open organise override own
parse pass perform prefer prevent print process produce protect provide publish put raise rank reach read receive recommend
record redirect reduce refer refuse register reject release reload remove rename render repair replace report represent
require resolve restart restore return reuse run save say scan score search select send separate serve set share show sign
skip solve sort specify speed split start stop store stream submit support switch sync take tell test transform translate
trigger try turn update upgrade upload use validate verify wait warn wrap write go
""")
AUXILIARIES = listed("are can cannot could had has have is may might must should was were will would")
BE = listed("are is was were")
MODALS = listed("can cannot could may must should will")
_PARTICIPLES = listed("""
built bought brought called caught chosen cut done drawn found given gone grown held hidden kept known led left let lost
made meant put read run said seen sent set shown shut sold split spent taken thrown told understood won written begun born
""")
# What a question cannot begin to speak of, for nobody who reads it alone knows what is meant.
POINTING = listed("""
above also below chapter example following former he here him however i'll i'm instead it it's latter let's now
otherwise our ours previous same section she such them then there therefore these they this those thus us we
""")
_NO_SUBJECT = POINTING | listed("""
about after although among and another anyone anything as at because before beside besides between both but by
despite during each either even everybody everyone everything for from how i if in into just like many maybe my
neither no nobody not nothing notice of on once one only or other others over perhaps remember several since so some
someone something that though through to under unless unlike until what when where which while who whom whose why
with within without yet you your
""")
_CLAUSES = POINTING | listed("""
because how i if not that unless until what when where which who whom whose why you
""")
_DETERMINERS = listed("a all an any each every most the")
_PREPOSITIONS = listed("about and at by for from in into of on or over through to under with without")
_PERSONS = (
    (r"\byou are\b", "I am"),
    (r"\byou're\b", "I'm"),
    (r"\byou've\b", "I've"),
    (r"\byou'd\b", "I'd"),
    (r"\byou'll\b", "I'll"),
    (r"\byourself\b", "myself"),
    (r"\byours\b", "mine"),
    (r"\byour\b", "my"),
    (
        r"\b(gives?|gave|shows?|tells?|lets?|helps?|allows?|to|for|with|from|of|by|than|asks?|warns?|protects?) you\b",
        r"\1 me",
    ),
    (r"\byou\b", "I"),
)
_PRONOUNS = listed("it its them then there they")
_IDENTIFIER = re.compile(r"`[^`]+`|\b\w*[a-z]\w*[A-Z]\w*\b|\b\w+_\w+\b|--\w[\w-]*|\b[A-Z]{2,}\w*\b|\b\w+\d\w*\b")
_WORD = re.compile(r"[\w'’.@/-]*\w|`[^`]+`")


def third_person(base: str) -> str:
    """`keeps` of `keep`."""
    if base.endswith(("s", "x", "z", "ch", "sh")):
        return f"{base}es"
    return f"{base[:-1]}ies" if base.endswith("y") and base[-2] not in "aeiou" else f"{base}s"


THIRD = {third_person(verb): verb for verb in VERBS}


def participle(word: str) -> bool:
    return word in _PARTICIPLES or (word.endswith("ed") and len(word) > 4)


def first_person(text: str) -> str:
    """What is said to a reader, as the reader would say it: `your app` is `my app`."""
    for pattern, said in _PERSONS:
        text = re.sub(pattern, said, text, flags=re.IGNORECASE)
    return text


def words(text: str) -> list[str]:
    """The words of a text; code in backticks is no two words."""
    return re.findall(r"(?:`[^`]+`|\S)+", text)


def bare(word: str) -> str:
    return word.strip(".,;:!?()\"“”'").casefold()


def identifiers(text: str) -> list[str]:
    """What names one thing: code, CamelCase, snake_case, options, capitals, names with digits."""
    return _IDENTIFIER.findall(text)


def subject(found: Sequence[str], named: frozenset[str]) -> str | None:
    """The words as a subject that can be asked about by itself, its first letter as inside a sentence; else None.

    `named` are words that are written with a capital wherever they stand.
    """
    said = [bare(word) for word in found]
    if not found or len(found) > 8 or said[0] in _NO_SUBJECT or (said[0] in _DETERMINERS and len(said) == 1):
        return None
    if said[0] in VERBS and found[0].isalpha():
        return None  # an order: `Add more checks`
    if (
        _CLAUSES & set(said[1:])
        or any(word.endswith((",", ";", ":", ".")) for word in found)
        or said[-1] in _PREPOSITIONS
    ):
        return None
    name = found[0].removesuffix("'s") in named or identifiers(found[0]) or (len(found) > 1 and found[1][0].isupper())
    keeps = said[0] not in _DETERMINERS and name
    return first_person(" ".join([found[0] if keeps else found[0][0].lower() + found[0][1:], *found[1:]]))


def points_elsewhere(question: str) -> bool:
    """Whether a question speaks of something that only its text's neighbours explain."""
    said = [bare(word) for word in words(question)]
    if re.search(
        r"\b(?:if|when|where|in|of|for|with|to|on|by|from|do|does|is|about|like) that\b|\bof (?:them|it)\b", question
    ):
        return True
    if re.search(
        r"\bas (?:I|we|you) \w+|\bin (?:the )?(?:next|last|first) (?:section|chapter|example)|\b(?:so|very|more) (?:far|on)\b",
        question,
    ):
        return True
    return any(word in POINTING for word in said[:7]) or bool((POINTING - _PRONOUNS).intersection(said))
