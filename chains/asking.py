"""A model asked about a turn: its tokens, with time limits and with second attempts; sync and async."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import aclosing, closing
from typing import cast

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage
from langchain_core.prompt_values import PromptValue
from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda

from howdah.chains.patience import Patience
from howdah.chains.tokens import atimed, timed
from howdah.chains.turn import Turn

_FEW = 2_000  # characters; more is no question


class Asking:
    """`prompting` renders a turn; `timeout` in seconds bounds the wait for the first token and for each next one."""

    def __init__(
        self,
        *,
        prompting: Runnable[Turn, PromptValue],
        model: Runnable[LanguageModelInput, AIMessage],
        timeout: float | None,
    ) -> None:
        self._prompting, self._model, self._timeout = prompting, model, timeout

    def tokens(self, turn: Turn, config: RunnableConfig, *, told: Callable[[PromptValue], None]) -> Generator[str]:
        """What the model writes; `told` gets each prompt before it is sent. Raises what the model does, at the end."""
        patience, began = Patience(self._timeout), False
        while True:
            # Not piped into a parser: on being left, LangChain's pipe reads its input, the model, to the end.
            prompt = self._prompting.invoke(turn, config)
            told(prompt)
            stream = cast("Generator[AIMessage]", self._model.stream(prompt, config))
            try:
                with closing(timed(stream, self._timeout)) as tokens:
                    for token in tokens:
                        began = True
                        yield _text(token)
            except Exception as error:
                again = patience.again(error, turn, began=began)
                if again is None:
                    raise
                turn, seconds = again
                time.sleep(seconds)
            else:
                return

    async def atokens(
        self, turn: Turn, config: RunnableConfig, *, told: Callable[[PromptValue], None]
    ) -> AsyncGenerator[str]:
        patience, began = Patience(self._timeout), False
        while True:
            prompt = await self._prompting.ainvoke(turn, config)
            told(prompt)
            stream = cast("AsyncGenerator[AIMessage]", self._model.astream(prompt, config))
            try:
                async with aclosing(atimed(stream, self._timeout)) as tokens:
                    async for token in tokens:
                        began = True
                        yield _text(token)
            except Exception as error:
                again = patience.again(error, turn, began=began)
                if again is None:
                    raise
                turn, seconds = again
                await asyncio.sleep(seconds)
            else:
                return


def bounded(model: Runnable[LanguageModelInput, AIMessage], timeout: float | None) -> Runnable[LanguageModelInput, str]:
    """`model` for a few words, each token of which is waited for `timeout` seconds at most; raises as the model does."""

    def ask(prompt: LanguageModelInput, config: RunnableConfig) -> str:
        said = ""
        stream = cast("Generator[AIMessage]", model.stream(prompt, config))
        with closing(timed(stream, timeout)) as tokens:
            for token in tokens:
                said += _text(token)
                if len(said) > _FEW:
                    break
        return said

    async def aask(prompt: LanguageModelInput, config: RunnableConfig) -> str:
        said = ""
        stream = cast("AsyncGenerator[AIMessage]", model.astream(prompt, config))
        async with aclosing(atimed(stream, timeout)) as tokens:
            async for token in tokens:
                said += _text(token)
                if len(said) > _FEW:
                    break
        return said

    return RunnableLambda(ask, aask, name="ask")


def _text(token: AIMessage | str) -> str:
    """A token's words alone: calls of tools and thoughts are none."""
    return token if isinstance(token, str) else str(token.text)
