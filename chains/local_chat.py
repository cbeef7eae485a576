"""The local chat model as LangChain sees it: ChatOpenAI on our loopback server, and nothing of the user's OpenAI."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import openai
from langchain_core.messages import BaseMessage, get_buffer_string
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from howdah.chains.local_server import MODEL, SERVER
from howdah.retrieval.errors import HowdahError
from howdah.retrieval.providers import failure

MAX_TOKENS = 200
TIMEOUT = 120.0  # seconds for one answer, waiting for others' included
KEPT = frozenset({"accept", "accept-encoding", "content-length", "content-type", "transfer-encoding"})
"""Headers that go out, with the SDK's notes to itself (x-stainless-*).

The others hold what openai reads from OPENAI_* variables: organisation, project, headers.
"""


class LocalChat(ChatOpenAI):
    """SmolLM2-135M-Instruct in a child process, started by the first call: 4,096 tokens, greedy.

    It writes one paragraph of at most 200 tokens: what it adds after a blank line is mostly made up. Its first token
    takes a second or more for 1,000 characters of prompt, so give it little. Raises PackageMissing or
    ModelUnavailable where the model does not run, InvalidInput for a prompt beyond its context.
    """

    def get_token_ids(self, text: str) -> list[int]:
        """The model's own tokens of `text`; ChatOpenAI would download the vocabulary of another model."""
        assert self.http_client is not None
        tokens: list[int] = self.http_client.post("http://127.0.0.1/tokenize", json={"content": text}).json()["tokens"]
        return tokens

    def get_num_tokens_from_messages(self, messages: Sequence[BaseMessage], *_: Any, **__: Any) -> int:
        return self.get_num_tokens(get_buffer_string(messages))

    def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
        with _explained():
            SERVER.address()
            return super()._generate(*args, **kwargs)

    def _stream(self, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        with _explained():
            SERVER.address()
            yield from super()._stream(*args, **kwargs)

    async def _agenerate(self, *args: Any, **kwargs: Any) -> ChatResult:
        with _explained():
            await asyncio.to_thread(SERVER.address)
            return await super()._agenerate(*args, **kwargs)

    async def _astream(self, *args: Any, **kwargs: Any) -> AsyncIterator[ChatGenerationChunk]:
        with _explained():
            await asyncio.to_thread(SERVER.address)
            async for chunk in super()._astream(*args, **kwargs):
                yield chunk


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except openai.OpenAIError as error:
        if isinstance(error.__cause__, HowdahError):  # the server did not start again
            raise error.__cause__ from None
        raise failure(error, what="asking the local chat model") from error


def local_chat() -> LocalChat:
    """The local chat model; nothing is started yet."""
    return LocalChat(
        model=MODEL,
        base_url="http://127.0.0.1/v1",  # `_aim` knows the port, which a new server changes
        api_key=SecretStr("local"),
        organization="",
        openai_proxy="",  # else OPENAI_PROXY, which forbids clients of one's own
        http_socket_options=(),
        http_client=openai.DefaultHttpxClient(trust_env=False, event_hooks={"request": [_aim]}),
        http_async_client=openai.DefaultAsyncHttpxClient(trust_env=False, event_hooks={"request": [_aaim]}),
        use_responses_api=False,
        temperature=0,
        seed=0,
        max_completion_tokens=MAX_TOKENS,
        # No penalty on repetition: it would keep the passage's own words out of the answer.
        stop_sequences=["\n\n"],
        timeout=TIMEOUT,
        max_retries=1,  # a server that died is started anew by the second try
    )


def _aim(request: Any) -> None:
    """Send a request to the server that runs now, with its key and no header that is not needed."""
    address = SERVER.address()
    request.url = request.url.copy_with(host=address.host, port=address.port)
    for name in [name.lower() for name in request.headers]:
        if name not in KEPT and not name.startswith("x-stainless-"):
            del request.headers[name]
    request.headers["Host"] = f"{address.host}:{address.port}"
    request.headers["Authorization"] = f"Bearer {address.key}"
    # A kept connection would belong to one event loop, and a fork would share it.
    request.headers["Connection"] = "close"


async def _aaim(request: Any) -> None:
    await asyncio.to_thread(_aim, request)
