"""What is said to a chat that is no question to the documents, in English, German, Spanish and French. Pure."""

import re
from dataclasses import dataclass
from typing import Literal

from howdah.chains import phrases

Kind = Literal["greeting", "thanks", "goodbye", "contents"]


@dataclass(frozen=True, kw_only=True, slots=True)
class SmallTalk:
    """What kind it is, and in which language; `contents` asks what the collection holds."""

    kind: Kind
    language: str = "en"


_NAME = r"(?:\s+(?:there|howdah|all|everyone|again))?"
_PATTERNS: dict[Kind, dict[str, str]] = {
    "greeting": {
        "en": rf"(?:hi+|hello|hey+|howdy|greetings|good (?:morning|afternoon|evening|day)){_NAME}"
        r"(?:[,!. ]+how are you(?: doing)?(?: today)?)?|你好|こんにちは",
        "de": rf"(?:hallo|guten (?:tag|morgen|abend)|servus|moin|gr[uü](?:ß|ss) gott){_NAME}"
        r"(?:[,!. ]+wie geht(?:'?s| es (?:dir|ihnen)))?",
        "es": rf"(?:hola|buenos d[ií]as|buenas(?: tardes| noches)?){_NAME}(?:[,!. ¿]+(?:qu[eé] tal|c[oó]mo est[aá]s))?",
        "fr": rf"(?:bonjour|salut|bonsoir|coucou|ciao){_NAME}(?:[,!. ]+(?:[cç]a va|comment (?:[cç]a va|allez-vous)))?",
    },
    "thanks": {
        "en": r"(?:(?:ok(?:ay)?|great|perfect|cool|nice)[,!. ]+)?(?:many thanks|thanks|thank you|thx|ty|cheers)"
        r"(?: a lot| so much| very much| again| for (?:your|the) (?:help|answer))*"
        r"(?:[,!. ]+that(?:'s| is| was) (?:all|great|helpful|perfect))?|谢谢|ありがとう",
        "de": r"(?:(?:ok(?:ay)?|super|gut|toll)[,!. ]+)?(?:danke|vielen dank|besten dank)"
        r"(?: sch[oö]n| sehr| dir| f[uü]r die (?:hilfe|antwort))*",
        "es": r"(?:(?:ok|vale|genial|perfecto)[,!. ]+)?(?:muchas |mil )?gracias(?: por (?:todo|la (?:ayuda|respuesta)))?",
        "fr": r"(?:(?:ok|super|parfait)[,!. ]+)?(?:merci|un grand merci)"
        r"(?: beaucoup| bien| pour (?:tout|l'aide|votre aide|la réponse))*",
    },
    "goodbye": {
        "en": rf"(?:bye|bye[- ]bye|goodbye|good bye|good night|see you(?: later| soon)?){_NAME}|再见",
        "de": rf"(?:tsch[uü]ss|auf wiedersehen|bis (?:dann|bald|später)|gute nacht){_NAME}",
        "es": rf"(?:adi[oó]s|hasta (?:luego|pronto|mañana)){_NAME}",
        "fr": rf"(?:au revoir|à (?:bientôt|plus(?: tard)?)|bonne nuit){_NAME}",
    },
    "contents": {
        "en": r"(?:so )?what(?:'s| is| are| do you have)? "
        r"(?:in here|here|inside|in there|in (?:this|the|your) (?:collection|database|index|corpus|library|documents))"
        r"|what (?:documents|files|sources|topics) "
        r"(?:are (?:here|there|in here|loaded|indexed)|do you (?:have|know)|have you (?:got|read))"
        r"|what do you (?:know|have)(?: about)?|what can (?:you (?:do|tell me|answer)|i ask(?: you)?(?: about)?)"
        r"|(?:list|show)(?: me)?(?: (?:the|your|all))* (?:documents|files|sources|contents)",
        "de": r"was (?:ist|gibt es|steht|hast du) (?:denn )?hier(?: alles)?(?: drin)?"
        r"|was (?:kann ich (?:dich )?fragen|wei(?:ß|ss)t du)"
        r"|welche (?:dokumente|dateien|quellen) (?:gibt es|hast du|sind (?:hier|geladen))"
        r"|(?:zeige?|liste)(?: mir)?(?: alle)? (?:dokumente|dateien)",
        "es": r"qu[eé] hay (?:aqu[ií]|dentro)|qu[eé] (?:documentos|archivos|fuentes) (?:hay|tienes)"
        r"|qu[eé] (?:sabes|puedo preguntar(?:te)?)|(?:muestra|lista|mu[eé]strame)(?: todos)?(?: los)? (?:documentos|archivos)",
        "fr": r"qu'y a-t-il (?:ici|dedans)|qu'est-ce qu'il y a (?:ici|dedans)"
        r"|quels (?:documents|fichiers) (?:y a-t-il|avez-vous|as-tu)"
        r"|(?:montre|liste)(?:-moi)?(?: tous)?(?: les)? (?:documents|fichiers)",
    },
}
_COMPILED = [
    (SmallTalk(kind=kind, language=language), re.compile(pattern, re.IGNORECASE))
    for kind, patterns in _PATTERNS.items()
    for language, pattern in patterns.items()
]
_EDGES = " \t\n!?.,;:¡¿…！？。👋🙏😊🙂"
_REPLIES = {"greeting": phrases.GREETINGS, "thanks": phrases.THANKS, "goodbye": phrases.GOODBYES}


def smalltalk(text: str) -> SmallTalk | None:
    """The small talk that `text` is, whole; None where it asks anything else."""
    said = " ".join(text.replace("’", "'").split()).strip(_EDGES)
    return next((small for small, pattern in _COMPILED if pattern.fullmatch(said)), None)


def reply(small: SmallTalk) -> str | None:
    """What is answered, in its language; None for `contents`, which is for the collection to say."""
    said = _REPLIES.get(small.kind)
    return phrases.in_language(said, small.language) if said else None
