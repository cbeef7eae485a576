"""Other people's model APIs: what they raise when built or called, which of it passes, and what we say instead.

No provider's package is imported: errors are told apart by what they carry (a status, a class name).
"""

import random
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

from howdah.retrieval.errors import HowdahError, InvalidInput, ModelUnavailable, PackageMissing

T = TypeVar("T")

TRANSIENT_STATUS = frozenset({408, 425, 429})
"""Besides every 5xx."""
TRANSIENT_NAMES = frozenset(
    {
        "APIConnectionError",
        "APITimeoutError",
        "ClientConnectionError",
        "ConnectionError",
        "ConnectTimeoutError",
        "DeadlineExceeded",
        "EndpointConnectionError",
        "RateLimitError",
        "ReadTimeoutError",
        "ResourceExhausted",
        "ServiceUnavailable",
        "Timeout",
        "TransportError",
    }
)
"""Classes of openai, anthropic, httpx, requests, aiohttp, botocore and google-api-core, anywhere among an error's bases."""
BUSY_STATUS = frozenset({429, 503, 529})
BUSY_NAMES = frozenset({"RateLimitError", "ResourceExhausted", "ServiceUnavailable"})
"""Those of TRANSIENT_NAMES that mean it, where an error has no status."""
EXHAUSTED = frozenset({"insufficient_quota", "billing_hard_limit_reached"})
"""Codes that come with 429 but that no waiting mends."""

FIRST_PAUSE, LONGEST_PAUSE, LONGEST_ASKED_PAUSE = 0.5, 20.0, 60.0  # seconds
SENTENCE = 240  # characters of the provider's own words

_INSTALL = re.compile(r"pip install (?:-U |--upgrade )?[\"'`]?([\w.\-\[\],]+)")
_VARIABLE = re.compile(r"\b[A-Z][A-Z0-9]*_(?:[A-Z0-9]+_)*(?:KEY|TOKEN|CREDENTIALS|SECRET|ENDPOINT|REGION|VERSION)\b")
_SIZE = re.compile(
    r"\btokens?\b|\bbatch|\btoo (?:many|long|large)\b|\bcontext length\b|\bat most\b|\bmax(?:imum)?\b|\bexceed",
    re.IGNORECASE,
)
_COUNT = re.compile(
    r"\bbatch size\b|\btoo many (?:inputs|texts|items|instances|documents|requests in)"
    r"|\b(?:number|array|list) of (?:\w+ )?(?:inputs|texts|items|instances|documents)\b"
    r"|\barray too long\b|\bat most \d+ (?:inputs|texts|items|instances|documents|elements)",
    re.IGNORECASE,
)
"""Words of Cohere ("total number of texts must be at most 96"), Mistral, Azure, Vertex AI, OpenAI and TEI."""
_SECRETS = re.compile(
    r"(?<=://)[^/\s@]+(?=@)"  # a password in an address
    r"|\b(?:sk|pk|rk|gsk|xai|lsv2|hf|pplx|nvapi)[-_][\w*.\-]{4,}"
    r"|\b(?:AIza|AKIA|ASIA)[\w\-]{8,}"
    r"|(?<=Bearer )\S+"
    r"|(?<=key=)[^&\s]+"
    r"|\b(?=[\w\-]*\d)(?=[\w\-]*[A-Za-z])[\w\-]{32,}"
)


def build(make: Callable[[], T], *, name: str, kind: str, works: str) -> T:
    """What `make` returns: a model of some provider. `works` lists the names that can be used.

    Raises PackageMissing with the install command, ModelUnavailable naming the variable of a missing key,
    InvalidInput for a name that no provider answers to.
    """
    try:
        return make()
    except HowdahError:
        raise
    except ImportError as error:
        package = _package(error, name)
        raise PackageMissing(package, needed_for=f"the {kind} {name!r}", install=f"pip install {package}") from error
    except Exception as error:  # a provider's constructor raises classes that only it knows
        raise _unbuilt(error, name=name, kind=kind, works=works) from error


def _package(error: ImportError, name: str) -> str:
    named = _INSTALL.search(str(error))
    return named[1] if named else f"langchain-{name.partition(':')[0].replace('_', '-')}"


def _unbuilt(error: Exception, *, name: str, kind: str, works: str) -> HowdahError:
    variable = _VARIABLE.search(str(error))
    if variable:
        return ModelUnavailable(f"the {kind} {name!r} has no credentials", hint=f"set {variable[0]}, or use {works}")
    if isinstance(error, ValueError) and "rovider" in str(error):
        return InvalidInput(f"no provider answers to the {kind} {name!r}", hint=f"wanted {works}")
    return ModelUnavailable(f"the {kind} {name!r} cannot be set up: {sentence(error)}")


def failure(error: Exception, *, what: str, tried: int = 1, first: str | None = None) -> HowdahError:
    """The error to raise `from` a provider's: InvalidInput where it refused the input, else ModelUnavailable.

    `first`: how the one text begins that was refused.
    """
    code = status(error)
    times = f" after {tried} attempts" if tried > 1 else ""
    message = f"{what} failed{times}: {sentence(error)}"
    if code in {401, 403}:
        return ModelUnavailable(message, hint="check the key and what it is allowed to do")
    if code == 404:
        return ModelUnavailable(message, hint="check the model's name and the address of the API")
    if code in {400, 413, 422}:
        hint = "the API refused this input: sending it again will not help"
        return InvalidInput(message, hint=hint if first is None else f"{hint}; the text begins {first!r}")
    if _codes(error) & EXHAUSTED:
        return ModelUnavailable(message, hint="the account's quota is used up")
    return ModelUnavailable(message, hint="try again later" if is_transient(error) else "")


def is_transient(error: BaseException) -> bool:
    """Whether the same call may work later: time-outs, lost connections, 429 and 5xx."""
    if _codes(error) & EXHAUSTED:
        return False
    code = status(error)
    if code is not None:
        return code in TRANSIENT_STATUS or code >= 500
    return any(
        isinstance(cause, TimeoutError | ConnectionError)
        or not TRANSIENT_NAMES.isdisjoint(base.__name__ for base in type(cause).__mro__)
        for cause in _causes(error)
    )


def is_busy(error: BaseException) -> bool:
    """Whether a transient error is the API's word to call less often: 429, 503, or 529 as Anthropic has it."""
    code = status(error)
    if code is not None:
        return code in BUSY_STATUS
    return any(not BUSY_NAMES.isdisjoint(base.__name__ for base in type(cause).__mro__) for cause in _causes(error))


def too_large(error: BaseException) -> bool:
    """Whether a request was refused for its size, so that half of it may be taken."""
    code = status(error)
    if code == 429:  # OpenAI: more tokens in one request than the account has for a minute
        return "request too large" in _words(error).lower()
    return code == 413 or (code in {400, 422} and _SIZE.search(_words(error)) is not None)


def speaks_of_count(error: BaseException) -> bool:
    """Whether an error of `too_large` is about the number of texts, not about their length."""
    return _COUNT.search(_words(error)) is not None


def _words(error: BaseException) -> str:
    """What an error says, with the body of its response: httpx puts only the status into its own words."""
    try:
        body = getattr(getattr(error, "response", None), "text", "")
    except RuntimeError:  # httpx: a body that was not read
        body = ""
    return f"{error} {body[:4000]}" if isinstance(body, str) else str(error)


def status(error: BaseException) -> int | None:
    """The HTTP status that an error, or one of its causes, carries."""
    found = (number for cause in _causes(error) for number in _statuses(cause))
    return next((number for number in found if isinstance(number, int) and 400 <= number < 600), None)


def _statuses(error: BaseException) -> Iterator[Any]:
    response = getattr(error, "response", None)
    for name in ("status_code", "http_status", "status", "code"):
        yield getattr(error, name, None)
    if isinstance(response, Mapping):  # botocore
        yield response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    yield getattr(response, "status_code", None)


def _codes(error: BaseException) -> set[str]:
    codes = (getattr(cause, name, None) for cause in _causes(error) for name in ("code", "type"))
    return {code for code in codes if isinstance(code, str)}


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__


def is_bug(error: Exception) -> bool:
    """Whether an error is the class's own fault and none of the API's."""
    # A TypeError of a hand-made model wants its own traceback; an OSError is the network's.
    return type(error).__module__ == "builtins" and not isinstance(error, OSError)


def pause(error: BaseException, *, tried: int) -> float:
    """Seconds before the next attempt: what the server asks for (at most 60), else doubling with jitter."""
    asked = retry_after(error)
    if asked is not None:
        return min(asked, LONGEST_ASKED_PAUSE)
    longest: float = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** (tried - 1))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 - keeps clients apart, hides nothing


def retry_after(error: BaseException) -> float | None:
    """Seconds that the response's Retry-After asks for: a number or a date (RFC 9110, 10.2.3)."""
    for cause in _causes(error):
        headers = getattr(getattr(cause, "response", None), "headers", None)
        value = (headers.get("retry-after") or headers.get("Retry-After")) if headers else None
        if value:
            return _seconds(str(value))
    return None


def _seconds(value: str) -> float | None:
    try:
        seconds = float(value)
    except ValueError:
        try:
            when = parsedate_to_datetime(value)
        except ValueError:
            return None
        seconds = (when.replace(tzinfo=when.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return max(0.0, seconds) if seconds < float("inf") else None


def sentence(error: BaseException) -> str:
    """An error in one line: its class and its first words, with all that looks like a key masked."""
    words = " ".join(str(error).split()).removesuffix(".")
    text = _SECRETS.sub("***", words)
    return f"{type(error).__name__}: {text[:SENTENCE]}{'…' if len(text) > SENTENCE else ''}".removesuffix(": ")
