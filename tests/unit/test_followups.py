"""The rules for follow-ups on sixty conversations of our own, and on questions of others that all stand alone."""

import json
from pathlib import Path
from types import ModuleType

import pytest

from howdah.chains.followups import stands_alone
from tests.benchmark_modules import benchmark_module

XQUAD = Path(__file__).parents[3] / "shared" / "data" / "xquad"


@pytest.fixture(scope="module")
def followups() -> ModuleType:
    return benchmark_module("followups")


def test_there_are_sixty_conversations_of_two_to_four_turns_in_four_languages(followups: ModuleType) -> None:
    lines = [json.loads(line) for line in followups.FILE.read_text(encoding="utf-8").splitlines()]
    assert len(lines) == 60
    assert all(2 <= len(line["turns"]) <= 4 for line in lines)
    assert {line["lang"] for line in lines} == {"en", "de", "es", "fr"}


def test_follow_ups_are_told_and_rewritten(followups: ModuleType) -> None:
    cases = list(followups.cases())
    leaning = [case for case in cases if not case.alone]
    assert followups.share([stands_alone(question) for question in followups.firsts()]) >= 0.98
    assert followups.share([case.told for case in leaning]) >= 0.95
    assert followups.share([case.told for case in cases if case.alone]) >= 0.95
    assert followups.share([case.complete for case in leaning]) >= 0.92


@pytest.mark.skipif(not XQUAD.is_dir(), reason="XQuAD is not on this machine")
@pytest.mark.parametrize("file", ["queries.jsonl", "queries.de.jsonl", "queries.es.jsonl"])
def test_few_of_xquads_questions_are_taken_for_follow_ups(file: str) -> None:
    """They were asked one by one, about a paragraph: some 2 % say "this edict" all the same."""
    questions = [json.loads(line)["text"] for line in (XQUAD / file).read_text(encoding="utf-8").splitlines()]
    assert sum(not stands_alone(question) for question in questions) <= 0.05 * len(questions)
