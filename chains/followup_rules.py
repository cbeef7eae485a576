"""How a question points back at what was said before, in English, German, Spanish and French. Data only."""

import re
from dataclasses import dataclass

Pattern = re.Pattern[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """One language's. Each pattern is searched for in the whole question, but `opener`, `about` and `fragment`, which begin it.

    opener: words that say nothing about what follows ("and how do I …"). about: what always continues ("what about").
    impersonal: pronouns that stand for nobody ("is it possible"). points: what stands for something said before.
    selects: a choice among things said before ("which is faster"). owner: pronouns whose owner may be in the question.
    clause: where another clause begins. fragment: how pieces of a sentence begin. finite: a verb that makes a sentence.
    subject: who or what, which a verb may follow at once. orders: verbs at the beginning that ask for something.
    vague: words that say nothing by themselves ("more details").
    """

    opener: Pattern
    about: Pattern
    impersonal: Pattern
    points: Pattern
    selects: Pattern
    owner: Pattern
    clause: Pattern
    fragment: Pattern
    finite: Pattern
    subject: Pattern
    asks: Pattern
    orders: Pattern
    vague: frozenset[str]


def _any(pattern: str, flags: int = re.IGNORECASE) -> Pattern:
    return re.compile(rf"(?<![\w'’])(?:{pattern})(?![\w'’])", flags)


def _begins(pattern: str) -> Pattern:
    return re.compile(rf"(?:{pattern})(?!\w)", re.IGNORECASE)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_END = r"(?=\s*(?:[?.!,;]|$))"

ENGLISH = Rules(
    opener=_begins(r"(?:and|but|or|so|then|also|well|ok(?:ay)?|now|no|yes|hm+)"),
    about=_begins(r"what about|how about|what else|anything else|why not|how so|such as|like what|go on"),
    impersonal=_any(
        r"(?:is|was|does|did|will|would|can|could) it (?:called|known|said|determined|decided|take"
        r"|cost|mean|rain|snow|possible|necessary|true|safe|legal|worth"
        r"|hard|easy|better|best|make sense|matter)|it (?:is|was) (?:possible|necessary|true)|there (?:is|are|was|were)"
        r"|(?:is|are|was|were) there|(?:as|what|where|how) (?:it is|they are)|it takes"
    ),
    points=_any(
        r"it|its|itself|they|them|their|theirs|he|him|his|she|her|hers|this|these|those|else|instead(?! of)"
        r"|(?:in|of|for|with|about|at|on|to|from|by|do|does|did|is|was|than|can|could|will|would|should|may|must|why"
        rf"|explain|change|use|show|mean) that|that{_END}"
        r"|the (?:other|same|former|latter|first|second|third|last) (?:one|two|ones)|the (?:others|former|latter|rest)"
        rf"|(?:which|what|that|another|any|other|this|no) ones?|ones?{_END}|one (?:for|with|in|on)|both{_END}"
        rf"|there{_END}|(?:in|like|do|does) so{_END}"
    ),
    selects=re.compile(
        r"^which (?:should|would|do|does|did|can|could|of|has|have|works)\b"
        r"|^which (?:is|are|was|were) (?!.*(?:\bthan\b|\bor\b|:))(?:the )?(?:better|best|worse|worst|more|less|\w+er|\w+est)\b"
        r"(?! \w+ (?:of|in)\b)",
        re.IGNORECASE,
    ),
    owner=_begins(r"its|theirs?|his|hers?"),
    clause=re.compile(
        r",|\b(?:and|or|but|when|while|if|because|that|so|than|(?<=\w )(?:which|who|whose|where))\b", re.IGNORECASE
    ),
    fragment=_begins(
        r"in|of|for|with|about|at|on|to|from|by|under|over|without|between|since|until|before|after|during|only|even|just|maybe"
        r"|the|a|an|my|your|our|its|their|his|her|not"
    ),
    finite=_any(
        r"am|is|are|was|were|be|been|do|does|did|can|could|should|would|will|shall|may|might|must|has|have|had"
        r"|(?:is|are|was|were|do|does|did|can|could|should|would|will|has|have|had)n['’]t|won['’]t|what['’]s|who['’]s|where['’]s"
    ),
    subject=_begins(r"who|what|whose"),
    asks=_begins(r"how|when|where|why|which|whom"),
    orders=_begins(
        r"explain|list|show|compare|describe|give|find|name|define|summari[sz]e|tell|write|print|search|quote|count|translate"
    ),
    vague=_words(
        """
        more detail details example examples explain further again elaborate continue tell show please exactly
        precisely sure long many much often far large big high old fast soon late reason possible supported true
        case way thing others too afterwards list name briefly
        """
    ),
)

GERMAN = Rules(
    opener=_begins(r"(?:und|aber|oder|also|dann|auch|außerdem|ja|nein|ok(?:ay)?|gut)"),
    about=_begins(
        r"was ist mit|wie (?:sieht|steht) es|was noch|und sonst|wieso nicht|warum nicht|zum beispiel|mehr dazu"
    ),
    impersonal=_any(
        r"(?:gibt|gab|geht|ging|kam|kommt) es|es (?:gibt|gab)|man es(?=,)|ist es (?:möglich|nötig|notwendig|erlaubt|sicher"
        r"|sinnvoll|besser|ratsam)|dauert es|braucht es"
        r"|lohnt es|es (?:ist|sich|möglich)"
    ),
    points=_any(
        r"[Ee]r|ihn|ihm|ihnen|ihre?[mnrs]?|sie|[Ee]s|[Dd]essen|[Dd]eren|[Ss]eine[mnrs]?|sein(?= [A-ZÄÖÜ])"
        r"|(?:[Dd]avon|[Dd]arüber|[Dd]azu|[Dd]afür|(?<!, )damit|[Dd]aran|[Dd]arauf|[Dd]araus"
        r"|[Dd]arin|[Dd]abei|[Dd]agegen|[Dd]anach)(?!.*,)|[Hh]ierfür|[Dd]ort|[Dd]iese[mnrs]?|[Jj]ene[mnrs]?"
        r"|(?:der|die|das|den) (?:andere|anderen|gleiche|gleichen|erste|ersten|zweite|zweiten|letzte|letzten)"
        r"(?=\s*(?:[?.!,;]|$))|(?<!, )das(?=\s*(?:[?.!,;]|$)| (?:sein|auch|genau|so|denn|nicht|noch|wirklich|jetzt|ändern)\b)",
        0,
    ),
    selects=re.compile(r"^welche[rs]? (?:ist|sind|war|hat|passt|eignet|soll|sollte|davon)\b", re.IGNORECASE),
    owner=_begins(r"seine?[mnrs]?|ihre?[mnrs]?|deren|dessen"),
    clause=re.compile(r",|\b(?:und|oder|aber|wenn|weil|dass|ob|während)\b", re.IGNORECASE),
    fragment=_begins(
        r"in|im|für|mit|ohne|bei|auf|unter|über|von|vom|zu|zum|zur|aus|nach|vor|seit|bis|ab|an|am|nur|auch|der|die|das|den|dem|des|ein"
        r"|eine|einen|einem|einer|mein|meine|sein|seine|ihr|ihre|nicht"
    ),
    finite=_any(
        r"ist|sind|war|waren|wird|werden|wurde|wurden|kann|können|könnte|muss|müssen|soll|sollte|sollen|darf|dürfen|hat|haben|hatte"
        r"|gibt|will|möchte|ich|man|wir|du"
    ),
    subject=_begins(r"wer|was|wen|wem"),
    asks=_begins(r"wie|wann|wo|warum|wieso|weshalb|welche[mnrs]?|woher|wohin|wofür|womit"),
    orders=_begins(r"erkläre?|zeige?|nenne?|liste|beschreibe?|vergleiche?|fasse?|gib|suche?|schreibe?"),
    vague=_words(
        """
        mehr genauer genau einzelheiten details beispiel beispiele erkläre erklär zeig zeige weiter nochmal
        lange oft weit groß hoch alt schnell möglich grund größte bitte
        """
    ),
)

SPANISH = Rules(
    opener=_begins(r"(?:y|e|pero|o|entonces|además|también|sí|no|bueno|vale)"),
    about=_begins(r"qué tal|qué hay de|qué pasa con|qué más|por ejemplo|cómo así"),
    impersonal=_any(r"lo (?:que|más|mejor|peor|mismo que|siguiente)|(?:a|por) lo (?:largo|menos|tanto)|es posible|hay"),
    points=_any(
        r"él|ella|ellos|ellas|lo|esto|eso|aquello|aquel|aquella|ese|esa|esos|esas|este|estos|estas|esta"
        r"|(?:las?|los?|les?) \w+(?:ó|aron|ieron)|\w{2,}(?<!cha)(?<!pe)(?<!ca)(?:[aei]r|ando|iendo)(?:lo|la|los|las|le|les)"
        r"|(?:el|la|los|las) (?:otro|otra|otros|otras|mismo|misma|primero|primera|segundo|segunda|último|última)"
        rf"{_END}|ambos|ambas|su propi[oa]"
    ),
    selects=re.compile(
        r"^cuál(?:es)? (?:de|es (?:el |la )?(?:más|mejor|peor|mayor|menor))\b(?!.*\bque\b)", re.IGNORECASE
    ),
    owner=_begins(r"sus?"),
    clause=re.compile(r",|\b(?:y|o|pero|si|cuando|porque|que|mientras)\b", re.IGNORECASE),
    fragment=_begins(
        r"en|de|del|para|con|sin|por|a|al|desde|hasta|sobre|entre|sólo|solo|el|la|los|las|un|una|unos|unas|mi|su|sus|no"
    ),
    finite=_any(
        r"es|son|era|fue|está|están|hay|tiene|tienen|puede|puedo|pueden|podemos|debe|debo|deben|se \w+|ha|han|existe|existen"
    ),
    subject=_begins(r"quién|quiénes|qué"),
    asks=_begins(r"cómo|cuándo|dónde|por qué|para qué|cuáles?|cuánt[oa]s?"),
    orders=_begins(r"explica|muestra|enumera|compara|describe|dame|dime|busca|resume|nombra|define|escribe"),
    vague=_words(
        """
        más detalle detalles ejemplo ejemplos explica muestra dime dame favor tiempo posible sirve mejor
        """
    ),
)

FRENCH = Rules(
    opener=_begins(r"(?:et|mais|ou|alors|puis|donc|aussi|oui|non|bon|d['’]accord)"),
    about=_begins(r"qu['’]en est-il|quoi d['’]autre|et sinon|pourquoi pas|par exemple"),
    impersonal=_any(
        r"il y a|y a-t-il|est-il (?:possible|nécessaire|vrai|utile|recommandé|prudent|obligatoire)|faut-il|il faut|s['’]agit-il"
        r"|il s['’]agit|il (?:est|existe)|existe-t-il"
    ),
    points=re.compile(
        r"(?<!\w)(?:elle|elles|il|ils|lui|leurs?|cela|ça|cette|cet|ces|celui|celle|ceux|celles|celui-ci|celle-ci)(?!\w)"
        r"|(?:comment|peut-on|puis-je|faut-il|pour|dois-je|de) (?:le|la|les|l['’]) ?\w+(?:er|ir|re)(?!\w)"
        rf"|(?<!\w)l(?:e|a|es) (?:même|autre|premier|première|second|seconde|deuxième|dernier|dernière){_END}"
        r"|(?<!\w)l['’]autre(?!\w)|(?<!\w)en (?:existe|a-t-|reste)",
        re.IGNORECASE,
    ),
    selects=re.compile(r"^(?:lequel|laquelle|lesquels|lesquelles)\b", re.IGNORECASE),
    owner=_begins(r"leurs?"),
    clause=re.compile(r",|\b(?:et|ou|mais|si|quand|parce que|que|lorsque)\b", re.IGNORECASE),
    fragment=_begins(
        r"en|de|du|des|pour|avec|sans|par|à|au|aux|depuis|sur|sous|dans|entre|seulement|le|la|les|un|une|mon|ma|son|sa|ses|pas"
    ),
    finite=_any(
        r"est|sont|était|étaient|a|ont|avait|peut|peuvent|doit|doivent|faut|fait|font|sert|existe|y a-t-il|(?:peut|puis|dois|doit"
        r"|est|sont|a|ont|faut)-\S+|est-ce|qu['’]est-ce|\w+-(?:on|je|t-on|vous)"
    ),
    subject=_begins(r"qui|que|qu['’]\w+"),
    asks=_begins(r"comment|quand|où|pourquoi|combien|quels?|quelles?"),
    orders=_begins(r"explique|montre|liste|compare|décris|donne|trouve|nomme|définis|résume|écris|cherche"),
    vague=_words(
        """
        plus détail détails exemple exemples explique montre davantage encore longtemps souvent possible
        """
    ),
)

RULES = {"en": ENGLISH, "de": GERMAN, "es": SPANISH, "fr": FRENCH}
