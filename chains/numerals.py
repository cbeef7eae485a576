"""The numbers in a text, in digits or in words, with their units, bounds and dates. Pure."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from howdah.chains.units import BOUNDS, GERMAN, MONTHS, ORDINALS, UNITS
from howdah.chains.wordlists import NUMBER_WORDS

_DIGITS = r"(?:(?:(?<=[\s(\[,;:=<>])|(?<![\s\S]))[-−](?=\d))?\d+(?:[.,]\d+)*"
_PIECE = re.compile(rf"(?P<digits>{_DIGITS})(?:(?:st|nd|rd|th)\b)?|[^\W\d_]+(?:['’][^\W\d_]+)?|[^\w\s]")
_COMMA_GROUPS = re.compile(r"-?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_DOT_GROUPS = re.compile(r"-?\d{1,3}(?:\.\d{3}){2,}(?:,\d+)?")  # one group, `1.234`, may be a fraction
_PLAIN = re.compile(r"-?\d+(?:\.\d+)?")
_BOUND = re.compile(BOUNDS, re.IGNORECASE)
_LOOK_BACK = 40  # characters before a number in which its bound may stand
_RANGE = frozenset({"to", "-", "–", "—", "bis", "a", "à", "or", "oder", "o", "ou", "and", "und", "y", "et"})
_AND = frozenset({"and", "-", "‐", "y", "et", "und"})
_PERCENT = frozenset({("per", "cent"), ("por", "ciento"), ("pour", "cent")})
_DECADE = re.compile(r"\d{2,3}0s")
_SCALES = frozenset({"1000", "1e6", "1e9", "1e12"})
_ONE = frozenset({"one", "uno", "un", "une"})  # a number only where it goes on with one
_ALSO_WORDS = frozenset({"may", "march", "mar", "mai", "mars"})  # months only with a capital letter, or a year

_MONTH = "|".join(sorted(MONTHS, key=len, reverse=True))
_DAY = r"(\d{1,2})(?:st|nd|rd|th|er|\.)?(?:\s*[–-]\s*(\d{1,2})(?:st|nd|rd|th|\.)?)?"
_MONTH_FIRST = re.compile(rf"\b({_MONTH})\.?\s+{_DAY}(?!\d)(?:,?\s+(\d{{4}})\b)?", re.IGNORECASE)
_DAY_FIRST = re.compile(rf"\b{_DAY}\s+(?:of\s+|de\s+)?({_MONTH})\b\.?(?:,?\s+(?:del?\s+)?(\d{{4}})\b)?", re.IGNORECASE)
_NO_DAY = re.compile(rf"\b({_MONTH})\.?,?\s+(?:of\s+|del?\s+)?(\d{{4}})\b", re.IGNORECASE)
_ISO = re.compile(r"\b(\d{4})-(\d{2})-(\d{2})\b")
_DOTTED = re.compile(r"\b(\d{1,2})\.(\d{1,2})\.(\d{4})\b")


class Date(NamedTuple):
    """0 for what is not said."""

    year: int
    month: int
    day: int


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number in one spelling, its unit by one name, and `<` or `>` where it is a bound; "" where nothing is said."""

    number: str
    unit: str = ""
    bound: str = ""


@dataclass(frozen=True, slots=True)
class _Numeral:
    number: str
    scale: str
    start: int
    end: int  # number of the piece after it


def quantities(text: str) -> frozenset[Quantity]:
    """`1,234.5` and `1234.5` are equal, `1.5` and `15` are not; `twenty-five` is 25 and `2.5 million` 2500000."""
    plain, found = _undated(text)
    pieces = list(_PIECE.finditer(plain))
    numerals = _spread(list(_numerals(pieces)), pieces)
    units = _units(numerals, pieces)
    given = {
        Quantity(_written(each), unit, _bound(plain, pieces[each.start].start()))
        for each, unit in zip(numerals, units, strict=True)
    }
    given |= {Quantity(f"{unicodedata.numeric(char):g}") for char in plain if _is_numeral(char)}
    return frozenset(given | {Quantity(str(part)) for date in found for part in (date.year, date.day) if part})


def numbers(text: str) -> frozenset[str]:
    return frozenset(each.number for each in quantities(text))


def dates(text: str) -> frozenset[Date]:
    return frozenset(date for _, found in _dated(text) for date in found)


def without_months(text: str) -> str:
    """`text` without its dates, for who looks for names."""
    for span, _ in sorted(_dated(text), key=lambda each: each[0], reverse=True):
        text = f"{text[: span[0]]} {text[span[1] :]}"
    return text


def same_date(one: Date, other: Date) -> bool:
    """Whether nothing that both say differs, and `other` says the month and the day that `one` does."""
    years = not one.year or not other.year or one.year == other.year
    return years and one.month == other.month and one.day in (0, other.day)


def differs(claim: frozenset[Quantity], evidence: frozenset[Quantity]) -> bool:
    """Whether `evidence` gives a number of `claim` in other units only, or as the opposite bound only."""
    return any(_contradicted(each, [other for other in evidence if other.number == each.number]) for each in claim)


def _contradicted(quantity: Quantity, others: Sequence[Quantity]) -> bool:
    fits = [
        other
        for other in others
        if (not quantity.unit or other.unit in ("", quantity.unit))
        and (not quantity.bound or other.bound in ("", quantity.bound))
    ]
    return bool(others) and not fits


def _dated(text: str) -> list[tuple[tuple[int, int], list[Date]]]:
    found = [(match.span(), [Date(int(match[1]), int(match[2]), int(match[3]))]) for match in _ISO.finditer(text)]
    found += [(match.span(), [Date(int(match[3]), int(match[2]), int(match[1]))]) for match in _DOTTED.finditer(text)]
    for pattern, order in ((_DAY_FIRST, (3, 1, 2, 4)), (_MONTH_FIRST, (1, 2, 3, 4)), (_NO_DAY, (1, 0, 0, 2))):
        for match in pattern.finditer(text):
            taken = any(match.start() < end and start < match.end() for (start, end), _ in found)
            if not taken and (match[order[0]] not in _ALSO_WORDS or match[order[3]]):
                found.append((match.span(), _days(match, order)))
    return [each for each in found if all(date.month <= 12 and date.day <= 31 for date in each[1])]


def _days(match: re.Match[str], order: tuple[int, int, int, int]) -> list[Date]:
    month, first, last, year = order
    days = [int(match[group]) for group in (first, last) if group and match[group]] or [0]
    return [Date(int(match[year] or 0), MONTHS[match[month].casefold()], day) for day in days]


def _undated(text: str) -> tuple[str, list[Date]]:
    found = [date for _, each in _dated(text) for date in each]
    return (without_months(text), found) if found else (text, found)


def _numerals(pieces: Sequence[re.Match[str]]) -> Iterator[_Numeral]:
    place = 0
    while place < len(pieces):
        read = _digits(pieces, place) or _words(pieces, place)
        if read is None:
            place += 1
            continue
        yield read
        place = read.end


def _digits(pieces: Sequence[re.Match[str]], place: int) -> _Numeral | None:
    """Digits, and the word of scale after them: `2.5 million`."""
    digits = pieces[place]["digits"]
    if digits is None:
        return None
    scale = NUMBER_WORDS.get(_word(pieces, place + 1), "")
    scale = scale if scale in _SCALES else ""
    return _Numeral(_plain(digits), scale, place, place + 1 + bool(scale))


def _words(pieces: Sequence[re.Match[str]], place: int) -> _Numeral | None:
    """Words that make one number: `twenty-five`, `two hundred and five`, `three million`."""
    value = _value(pieces, place)
    if value is None:
        return None
    if not value.isdigit() and value not in _SCALES:
        return _Numeral(value, "", place, place + 1)  # a dozen, hundreds, a half, twice
    total, current, end = Decimal(0), Decimal(0), place
    while (step := _step(pieces, end, current, total)) is not None:
        total, current, end = step
    return _Numeral(f"{(total + current).normalize():f}", "", place, end)


def _step(
    pieces: Sequence[re.Match[str]], end: int, current: Decimal, total: Decimal
) -> tuple[Decimal, Decimal, int] | None:
    """One more word of a number: the sums and the place after it; None where it does not go on."""
    joined = end + ((current or total) != 0 and _word(pieces, end) in _AND)
    tens = current % 100 >= 20 and current % 10 == 0
    value = "1" if tens and _word(pieces, joined) in _ONE else _value(pieces, joined)
    if value is None or not (value.isdigit() or value in _SCALES):
        return None
    number = Decimal(value)
    if number >= 1000:
        return (total + (current or Decimal(1)) * number, Decimal(0), joined + 1) if joined == end else None
    if number == 100:
        return (total, (current or Decimal(1)) * 100, joined + 1) if joined == end and current < 100 else None
    fits = current % 100 == 0 or (number < 10 and tens)
    return (total, current + number, joined + 1) if fits else None


def _value(pieces: Sequence[re.Match[str]], place: int) -> str | None:
    word = _word(pieces, place)
    if (_word(pieces, place - 1), word) in _PERCENT:
        return None
    return NUMBER_WORDS.get(word) or ORDINALS.get(word) or GERMAN.get(word)


def _word(pieces: Sequence[re.Match[str]], place: int) -> str:
    return pieces[place][0].casefold() if 0 <= place < len(pieces) else ""


def _spread(numerals: list[_Numeral], pieces: Sequence[re.Match[str]]) -> list[_Numeral]:
    """In `5 to 10 million` both are millions."""
    spread = numerals[-1:]
    for each, following in zip(numerals[-2::-1], numerals[:0:-1], strict=True):
        alike = not each.scale and spread[0].scale and _ranges(each, following, pieces)
        spread.insert(0, _Numeral(each.number, spread[0].scale, each.start, each.end) if alike else each)
    return spread


def _units(numerals: Sequence[_Numeral], pieces: Sequence[re.Match[str]]) -> list[str]:
    """The unit after or before each number; in a range the last one's is every one's."""
    found: list[str] = []
    for each in reversed(numerals):
        after = each.end + (_word(pieces, each.end) in ("-", "‐"))
        before = UNITS.get(pieces[each.start - 1][0], "") if each.start and pieces[each.start - 1][0] in "$€£¥" else ""
        unit = before or UNITS.get(_word(pieces, after), "")
        if unit == "second" and _DECADE.fullmatch(
            pieces[after - 1].string, pieces[after - 1].start(), pieces[after].end()
        ):
            unit = ""
        if (_word(pieces, after), _word(pieces, after + 1)) in _PERCENT:
            unit = "percent"
        if _word(pieces, after) == "°":
            unit = UNITS.get("°" + _word(pieces, after + 1), "degree")
        place = len(numerals) - len(found) - 1
        if not unit and found and _ranges(each, numerals[place + 1], pieces):
            unit = found[-1]
        found.append(unit)
    return found[::-1]


def _ranges(one: _Numeral, other: _Numeral, pieces: Sequence[re.Match[str]]) -> bool:
    return other.start == one.end + 1 and _word(pieces, one.end) in _RANGE


def _bound(text: str, start: int) -> str:
    found = _BOUND.search(text[max(0, start - _LOOK_BACK) : start])
    return "" if found is None else "<" if found["most"] else ">"


def _written(numeral: _Numeral) -> str:
    if not numeral.scale or not _PLAIN.fullmatch(numeral.number):
        return numeral.number
    return f"{(Decimal(numeral.number) * Decimal(numeral.scale)).normalize():f}"


def _plain(digits: str) -> str:
    ascii_digits = "".join(str(unicodedata.digit(char, char)) for char in digits.replace("−", "-"))
    if _COMMA_GROUPS.fullmatch(ascii_digits):
        return ascii_digits.replace(",", "")
    if _DOT_GROUPS.fullmatch(ascii_digits):
        return ascii_digits.replace(".", "").replace(",", ".")
    return ascii_digits.replace(",", ".") if ascii_digits.count(",") == 1 and "." not in ascii_digits else ascii_digits


def _is_numeral(char: str) -> bool:
    """A numeral that is no decimal digit: ½, ², Ⅳ, and 三; but not 一, which is in half of all Chinese words."""
    return not char.isdecimal() and char != "一" and char.isnumeric()
