"""What is said to a chat that is no question to the documents. Pure."""

import re
from typing import Literal

Kind = Literal["greeting", "thanks", "goodbye", "contents"]

_NAME = r"(?:\s+(?:there|howdah|all|everyone|again))?"
_PATTERNS: dict[Kind, str] = {
    "greeting": r"(?:hi+|hello|hey+|howdy|greetings|good (?:morning|afternoon|evening|day)|hallo|guten (?:tag|morgen|abend)"
    r"|servus|hola|buenos d[ií]as|buenas(?: tardes| noches)?|bonjour|salut|bonsoir|ciao|你好|こんにちは)"
    rf"{_NAME}(?:[,!. ]+how are you(?: doing)?(?: today)?| wie geht(?:'s| es dir))?",
    "thanks": r"(?:(?:ok(?:ay)?|great|perfect|cool|nice)[,!. ]+)?"
    r"(?:many thanks|thanks|thank you|thx|ty|cheers|danke|vielen dank|gracias|muchas gracias|merci|谢谢|ありがとう)"
    r"(?: a lot| so much| very much| sch[oö]n| sehr| beaucoup| again| for (?:your|the) (?:help|answer))*"
    r"(?:[,!. ]+that(?:'s| is| was) (?:all|great|helpful|perfect))?",
    "goodbye": r"(?:bye|bye[- ]bye|goodbye|good bye|good night|see you(?: later| soon)?|tsch[uü]ss|auf wiedersehen"
    rf"|adi[oó]s|hasta luego|au revoir|再见){_NAME}",
    "contents": r"(?:so )?what(?:'s| is| are| do you have)? "
    r"(?:in here|here|inside|in there|in (?:this|the|your) (?:collection|database|index|corpus|library|documents))"
    r"|what (?:documents|files|sources|topics) "
    r"(?:are (?:here|there|in here|loaded|indexed)|do you (?:have|know)|have you (?:got|read))"
    r"|what do you (?:know|have)(?: about)?|what can (?:you (?:do|tell me|answer)|i ask(?: you)?(?: about)?)"
    r"|(?:list|show)(?: me)?(?: (?:the|your|all))* (?:documents|files|sources|contents)"
    r"|was (?:ist|gibt es) hier(?: drin)?|welche dokumente (?:gibt es|hast du|sind (?:hier|geladen))"
    r"|qu[eé] hay aqu[ií]|qu[eé] documentos (?:hay|tienes)|qu'y a-t-il ici",
}
_COMPILED: dict[Kind, re.Pattern[str]] = {
    kind: re.compile(pattern, re.IGNORECASE) for kind, pattern in _PATTERNS.items()
}
_EDGES = " \t\n!?.,;:¡¿…！？。👋🙏😊🙂"

REPLIES: dict[Kind, str] = {
    "greeting": "Hello! Ask me something about the documents in this collection.",
    "thanks": "You're welcome.",
    "goodbye": "Goodbye!",
}


def smalltalk(text: str) -> Kind | None:
    """The kind of small talk that `text` is, whole; None where it asks anything else. `contents` asks what is in here."""
    said = " ".join(text.replace("’", "'").split()).strip(_EDGES)
    return next((kind for kind, pattern in _COMPILED.items() if pattern.fullmatch(said)), None)
