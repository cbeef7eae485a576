"""Prompts by name: Markdown files with a `## system` and a `## user` part, variables in braces.

`{{` and `}}` stand for braces. A folder of the user's own comes first, file by file.
"""

import re
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from langchain_core.prompts import ChatPromptTemplate

from howdah.retrieval.errors import InvalidInput, NotFound

VARIABLES = {
    "agent": frozenset({"question"}),
    "answer": frozenset({"context", "question"}),
    "answer_small": frozenset({"context", "question"}),
    "question": frozenset({"passage"}),
    "rewrite": frozenset({"history", "question"}),
    "summarise": frozenset({"context", "sentences"}),
}
_HEADING = re.compile(r"^## (system|user)[ \t]*$", re.MULTILINE)


class Source(NamedTuple):
    """A prompt's text, and the file of the user's that it is from; None for our own."""

    text: str
    path: Path | None


def load_prompt(name: str, *, folder: str | Path | None = None) -> ChatPromptTemplate:
    """The prompt `name` from `folder`, else our own. Raises NotFound, or InvalidInput where the file is not as above."""
    text, path = source(name, folder=folder)
    return _parse(text, name, where=str(path or f"{name}.md"))


def source(name: str, *, folder: str | Path | None = None) -> Source:
    """Where the prompt `name` comes from. Raises NotFound, or InvalidInput where there is no such folder."""
    if name not in VARIABLES:
        raise NotFound(f"no prompt is called {name!r}", hint=f"there are {', '.join(sorted(VARIABLES))}")
    if folder is not None:
        if not Path(folder).is_dir():
            raise InvalidInput(f"there is no folder {str(folder)!r} of prompts", hint="run: howdah prompts copy FOLDER")
        own = Path(folder) / f"{name}.md"
        if own.is_file():
            return Source(own.read_text(encoding="utf-8"), own)
    return Source(files("howdah.prompts").joinpath(f"{name}.md").read_text(encoding="utf-8"), None)


def checked(prompt: ChatPromptTemplate, needed: set[str], offered: set[str]) -> ChatPromptTemplate:
    """`prompt` where it takes all of `needed` and nothing but these and `offered`; else InvalidInput says what there is."""
    wanted = set(prompt.input_variables)
    if unknown := sorted(wanted - needed - offered):
        raise InvalidInput(
            f"the prompt wants {unknown[0]!r}", hint=f"the chain gives {', '.join(sorted(needed | offered))}"
        )
    if missing := sorted(needed - wanted):
        raise InvalidInput(f"the prompt has no {{{missing[0]}}}", hint=f"it takes {' and '.join(sorted(needed))}")
    return prompt


def _parse(text: str, name: str, *, where: str) -> ChatPromptTemplate:
    before, *parts = _HEADING.split(text.replace("\r\n", "\n").removeprefix("\ufeff"))
    messages = [(role, body.strip()) for role, body in zip(parts[::2], parts[1::2], strict=True)]
    if before.strip() or [role for role, _ in messages] != ["system", "user"]:
        raise InvalidInput(f"prompt {where} has other parts than `## system` and then `## user`")
    try:
        prompt = ChatPromptTemplate.from_messages(messages)
    except ValueError as error:
        raise InvalidInput(f"prompt {where} cannot be read: {error}", hint="write {{ and }} for braces") from error
    if (got := set(prompt.input_variables)) != VARIABLES[name]:
        want = ", ".join(sorted(VARIABLES[name]))
        raise InvalidInput(f"prompt {where} has the variables {', '.join(sorted(got)) or 'none'}; it takes {want}")
    return prompt
