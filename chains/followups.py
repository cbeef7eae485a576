"""Does a question stand alone, or does it lean on what was said before? By rule, without a model. Pure.

A question leans where a word points back ("does *it* …"), where it is no whole sentence ("and on Windows?") or where it
has no words of its own ("tell me more"). A connective alone says nothing: "and how do I build the index?" stands alone.
"""

from howdah.chains.followup_rules import RULES, Rules
from howdah.chains.language import common, language_of
from howdah.chains.words import content_words, proper_names, stem

_EDGES = " \t\n¿¡\"'“”«»([,;:–-"


def stands_alone(question: str, *, spoken: str | None = None) -> bool:
    """Whether `question` can be understood by itself. `spoken` is the conversation's language, where its own is not plain."""
    text = question.strip(_EDGES)
    if not content_words(text):
        return False
    rules = RULES.get(language_of(text) or spoken or "en")
    return rules is None or _stands(text, rules)


def telling(words: list[str], language: str | None) -> list[str]:
    """`words` without those that say nothing by themselves."""
    rules = RULES.get(language or "en")
    empty: frozenset[str] = rules.vague if rules else frozenset()
    return [word for word in words if word.casefold() not in empty and not common(word, language)]


def _stands(text: str, rules: Rules) -> bool:
    bare = _without_opener(text, rules)
    if rules.about.match(bare) or rules.selects.search(bare):
        return False
    own = _own_words(bare, rules)
    return bool(own) and _whole(bare, len(own), rules, opened=bare != text) and not _points_back(bare, rules)


def _without_opener(text: str, rules: Rules) -> str:
    while opener := rules.opener.match(text):
        rest = text[opener.end() :].strip(_EDGES)
        if not rest:
            break
        text = rest
    return text


def _own_words(text: str, rules: Rules) -> list[str]:
    empty = {stem(word) for word in rules.vague}
    return [word for word in content_words(rules.impersonal.sub(" ", text)) if word not in empty]


def _whole(text: str, count: int, rules: Rules, *, opened: bool) -> bool:
    """Whether `text`, of `count` words of its own, is a sentence rather than a piece of one."""
    if rules.finite.search(text) or rules.orders.match(text):
        return True
    piece = rules.fragment.match(text)
    asked = text[piece.end() :].strip(_EDGES) if piece else text  # "in which year …"
    if rules.subject.match(asked):
        return count >= 2
    if rules.asks.match(asked):
        return count >= 3 or (count == 2 and bool(proper_names(text)))
    if opened or piece:
        return count >= 4 and not opened
    return count >= 2 or not text.endswith("?")  # keywords


def _points_back(text: str, rules: Rules) -> bool:
    plain = rules.impersonal.sub(" ", text)
    back = rules.points.search(plain)
    return back is not None and not _named_before(plain[: back.start()], back[0], rules)


def _named_before(text: str, pronoun: str, rules: Rules) -> bool:
    """Whether `text`, the question up to `pronoun`, names what it stands for: in another clause, or as the owner."""
    named = bool(proper_names(text)) or len(content_words(text)) >= 2
    return named and (rules.owner.match(pronoun) is not None or rules.clause.search(text) is not None)
