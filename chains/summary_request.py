"""Requests to sum up one document, in English, German, Spanish and French: "summarise mars.md", "worum geht es in …?". Pure."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class SummaryRequest:
    """What is to be summed up. `sure`: the words ask for a summary; else only if `name` is a source is it one."""

    name: str
    language: str
    sure: bool


_NAME = r"(?P<name>.+?)(?<! page)(?<! file)(?<! document)(?: (?:page|file|document))?"
_SURE = {
    "en": [
        r"(?:please,? |(?:can|could|would|will) you (?:please )?)*(?:summari[sz]e|sum up|tl;?dr)(?: for me)?"
        rf"(?: (?:the|this|that))?(?: (?:file|document|page|source|chapter|book|paper))? {_NAME}"
        r"(?:,? (?:for me|please|briefly|in short|in a few (?:words|sentences|lines)))*",
        r"(?:please,? |(?:can|could|would) you (?:please )?)*(?:(?:give|write|show|make)(?: me)? )?(?:an? |the )?"
        rf"(?:short |brief |quick )*(?:summary|synopsis|gist) (?:of|for)(?: the)?(?: (?:file|document|page))? {_NAME}"
        r"(?:,? please)?",
    ],
    "de": [
        r"(?:bitte )?fass(?:e|en sie)?(?: (?:mir|uns|bitte|doch|mal))*(?: (?:die|das|den))?(?: (?:datei|dokument|seite))? "
        rf"{_NAME}(?: (?:bitte|kurz|für mich|mir))* zusammen(?: bitte)?",
        r"(?:(?:kannst du|könntest du|können sie) (?:mir )?(?:bitte )?)?(?:(?:die|das|den) )?(?:(?:datei|dokument|seite) )?"
        rf"{_NAME}(?: (?:bitte|kurz|für mich|mir))* zusammenfassen(?: bitte)?",
        r"(?:(?:gib|schreibe?|mach)(?: mir)?(?: bitte)? )?(?:eine |die )?(?:kurze )?zusammenfassung (?:von|des|der|für|zu)"
        rf"(?: (?:datei|dokuments?|seite))? {_NAME}",
    ],
    "es": [
        r"(?:por favor,? |puedes |podrías )*(?:resume|resúmeme|resumir|resumirme|resuma)(?: (?:el|la|este|esta))?"
        rf"(?: (?:archivo|documento|página|fichero))? {_NAME}(?:,? por favor)?",
        rf"(?:(?:haz|dame|escribe|hazme)(?:me)? )?(?:un )?(?:breve )?resumen de(?:l| la| el)?(?: (?:archivo|documento))? {_NAME}",
    ],
    "fr": [
        r"(?:s'il (?:te|vous) plaît,? |peux-tu |pouvez-vous )*(?:me )?(?:résume[rz]?)(?:-moi)?(?: (?:le|la|ce|cette))?"
        rf"(?: (?:fichier|document|page))? {_NAME}(?:,? s'il (?:te|vous) plaît)?",
        r"(?:(?:fais|faites|donne|donnez|écris)(?:-moi)? )?(?:un )?(?:bref |court )?résumé (?:de la|du|de|d')"
        rf"(?: ?(?:fichier|document|page))? ?{_NAME}",
    ],
}
_PERHAPS = {
    "en": [
        rf"what (?:does|did) {_NAME} (?:say|cover|contain|describe|tell(?: (?:me|us))?)(?: in short| briefly)?",
        rf"what(?:'s| is) {_NAME} (?:all )?about",
        rf"what(?:'s| is) (?:said )?in {_NAME}",
    ],
    "de": [rf"(?:wovon handelt|worum geht es in|was steht in|was sagt) {_NAME}"],
    "es": [rf"(?:de qué trata|qué dice|qué hay en|qué contiene) {_NAME}"],
    "fr": [rf"(?:de quoi parle|que dit|que contient|qu'y a-t-il dans) {_NAME}"],
}
_COMPILED = [
    (language, sure, re.compile(pattern, re.IGNORECASE))
    for sure, patterns in ((True, _SURE), (False, _PERHAPS))
    for language, each in patterns.items()
    for pattern in each
]
_POINTS_BACK = re.compile(
    r"it|this|that|(?:this|that|the) (?:document|file|page|source)|es|das|dies"
    r"|(?:dieses|das) dokument|(?:diese|die) (?:datei|seite)|esto|eso|(?:este|el) (?:documento|archivo)|ça|cela"
    r"|(?:ce|le) (?:document|fichier)|cette page",
    re.IGNORECASE,
)
_EDGES = " \t\n!?,;:¡¿…"


def summary_request(text: str) -> SummaryRequest | None:
    """The request that `text` is, whole; None where it is anything else."""
    said = " ".join(text.replace("’", "'").split()).strip(_EDGES).removesuffix(".")
    for language, sure, pattern in _COMPILED:
        if match := pattern.fullmatch(said):
            return SummaryRequest(name=match["name"].strip(), language=language, sure=sure)
    return None


def points_back(request: SummaryRequest) -> bool:
    """Whether it names no document but one that was spoken of: "summarise it"."""
    return _POINTS_BACK.fullmatch(request.name) is not None
