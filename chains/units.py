"""Units, months and the words that bound a number, in English, German, Spanish and French. Data only."""

_UNITS = """
percent % prozent | usd $ dollar dollars dólares | eur € euro euros | pound £ pounds lb lbs gbp | jpy ¥ yen |
metre m meter meters metres metern metro metros mètre mètres | km kilometre kilometres kilometer kilometers kilómetros
kilomètres | cm centimetre centimetres centimeter centimeters zentimeter | mm millimetre millimetres millimeter millimeters |
mile mi miles meile meilen milla millas milles | foot ft feet fuß pies pieds | inch in inches zoll pulgadas pouces |
yard yd yards | kg kilogram kilograms kilogramme kilogrammes kilogramm kilo kilos | g gram grams gramm gramme grammes gramos |
mg milligram milligrams milligramm | tonne t tonnes ton tons tonnen toneladas | ounce oz ounces |
second s sec secs second seconds sekunde sekunden segundo segundos seconde secondes | ms millisecond milliseconds
millisekunden | µs us microsecond microseconds | minute min mins minutes minuten minuto minutos |
hour h hr hrs hours stunde stunden hora horas heure heures | day days tag tage tagen día días jour jours |
week weeks woche wochen semana semanas semaine semaines | month months monat monate monaten mes meses mois |
year yr yrs years jahr jahre jahren año años an ans année années | decade decades | century centuries |
byte bytes | kb kilobyte kilobytes | mb megabyte megabytes | gb gigabyte gigabytes | tb terabyte terabytes | kib | mib |
gib | celsius c °c | fahrenheit f °f | degree ° degrees grad | km/h kph | mph | acre acres | hectare ha hectares hektar |
litre l liter liters litres litros | volt v volts | watt w watts | kw kilowatt kilowatts | mw megawatt megawatts |
hz hertz | khz | mhz | ghz | point points punkte puntos
"""
UNITS = {word: entry.split()[0] for entry in _UNITS.split("|") for word in entry.split()}

_MONTHS = """
january januar enero janvier jan | february februar febrero février feb | march märz marzo mars mar | april abril avril apr |
may mai mayo | june juni junio juin jun | july juli julio juillet jul | august agosto août aug |
september septiembre septembre sep sept | october oktober octubre octobre oct okt | november noviembre novembre nov |
december dezember diciembre décembre dec dez
"""
MONTHS = {word: number for number, entry in enumerate(_MONTHS.split("|"), start=1) for word in entry.split()}

_ORDINALS = """
third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth sixteenth seventeenth
eighteenth nineteenth twentieth
"""
ORDINALS = {word: str(number) for number, word in enumerate(_ORDINALS.split(), start=3)}
"""Not `first` and `second`, which have other meanings."""

_GERMAN_UNITS = ["ein", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun"]
_GERMAN_TENS = ["zwanzig", "dreißig", "vierzig", "fünfzig", "sechzig", "siebzig", "achtzig", "neunzig"]
GERMAN = {
    **{
        f"{unit}und{tens}": str(10 * t + u)
        for t, tens in enumerate(_GERMAN_TENS, 2)
        for u, unit in enumerate(_GERMAN_UNITS, 1)
    },
    **{f"{unit}hundert": str(100 * u) for u, unit in enumerate(_GERMAN_UNITS, 1)},
    **{f"{unit}tausend": str(1000 * u) for u, unit in enumerate(_GERMAN_UNITS, 1)},
}
"""`fünfundzwanzig`, `zweihundert`."""

_AT_MOST = (
    r"up to|at most|no (?:more|greater|longer|later) than|not more than|(?:a )?maximum(?: of)?|less than|fewer than|under|below"
    r"|höchstens|maximal|bis zu|weniger als|unter|como máximo|hasta|menos de|au plus|jusqu'à|moins de|≤|<=?"
)
_AT_LEAST = (
    r"at least|no (?:fewer|less|earlier) than|not (?:fewer|less) than|(?:a )?minimum(?: of)?|more than|over|above"
    r"|exceed(?:s|ed|ing)?|mindestens|mehr als|über|al menos|más de|au moins|plus de|≥|>=?"
)
BOUNDS = rf"(?:(?P<most>{_AT_MOST})|(?P<least>{_AT_LEAST}))\s+(?:(?:a|an|the|about|around|some)\s+)?[$€£¥]?$"
