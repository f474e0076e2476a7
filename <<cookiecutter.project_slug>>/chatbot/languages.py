"""The language of the page: each sentence that a person reads passes through `say`.

The sentences in the code are English. Each file in the folder languages/ translates them into one
more language. docs/change.md says how to add one.
"""

import logging
import re
import tomllib
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "languages"
COOKIE = (
    "chatbot_language"  # the code of the language that a person chose; page/scripts.py writes it
)
HEADER_LENGTH = 1_000  # characters of Accept-Language that are read: browsers send fewer

log = logging.getLogger(__name__)

# One condition of a plural rule, as CLDR writes it: "n % 100 = 3..10".
_CONDITION = re.compile(r"([a-z])(?: % ([1-9]\d*))? (!?=) (\d+(?:\.\.\d+)?(?:,\d+(?:\.\.\d+)?)*)")


class LanguageError(Exception):
    """A language's file can't be used; the text says why."""


@dataclass(frozen=True)
class Language:
    """A language that the page speaks.

    code: as in the attribute "lang" of HTML, such as "de" or "pt-BR"; the name of its file.
    name: what it calls itself.
    direction: of its script, "ltr" or "rtl".
    thousands, decimal: what stands between groups of three digits, and before a fraction.
    plurals: CLDR's rules for whole numbers, by the form that they choose: zero, one, two, few or
        many; "other" needs none.
    sentences: translations, by the English sentence.
    counts: translations by form, by the English sentence for any number but one.
    """

    code: str
    name: str
    direction: str = "ltr"
    thousands: str = ","
    decimal: str = "."
    plurals: Mapping[str, str] = field(default_factory=dict)
    sentences: Mapping[str, str] = field(default_factory=dict)
    counts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def number(self, number: float, decimals: int = 0) -> str:
        """Return a number with its digits in groups, and with so many decimals."""
        marks = str.maketrans({",": self.thousands, ".": self.decimal})
        return f"{number:,.{decimals}f}".translate(marks)

    def form(self, count: int) -> str:
        """Return which plural form belongs to a whole number. Raises LanguageError."""
        return next((form for form, rule in self.plurals.items() if _holds(rule, count)), "other")


ENGLISH = Language("en", "English", plurals={"one": "n = 1"})


def say(sentence: str, /, **facts: object) -> str:
    """Return the sentence, completed with its facts, in the language of who reads it.

    sentence: in English, with the names of its facts in braces, as `str.format` has them. It must
        be written out where this is called: a language's file is searched for it.
    facts: whole numbers are written as the language does.
    """
    if facts:
        return say_marked(sentence, facts)
    return current().sentences.get(sentence) or sentence


def say_count(one: str, other: str, /, count: int, **facts: object) -> str:
    """Return the sentence for that many, which may use {count}, as `say` does.

    one, other: in English, for one and for any other number.
    """
    language = current()
    english = one if count == 1 else other
    forms = language.counts.get(other, {})
    translated = forms.get(language.form(count)) or forms.get("other") or english
    return _complete(language, translated, english, {"count": count, **facts})


def mark(sentence: str, /) -> str:
    """Return the English sentence as it is, for a table whose sentences `say_marked` says later."""
    return sentence


def say_marked(sentence: str, /, facts: Mapping[str, object]) -> str:
    """Return a sentence that passed through `mark`, as `say` does; another one stays English.

    Raises what `str.format` does if the facts, which may come from a file, don't fit.
    """
    language = current()
    return _complete(language, language.sentences.get(sentence) or sentence, sentence, facts)


def number(number: float, decimals: int = 0) -> str:
    """Return a number as the language of who reads it writes it, with so many decimals."""
    return current().number(number, decimals)


def _complete(
    language: Language, translated: str, english: str, facts: Mapping[str, object]
) -> str:
    """Return the translated sentence with its facts, the English one if they don't fit.

    Raises what `str.format` does if they don't fit the English one, either.
    """
    facts = {
        name: language.number(fact) if type(fact) is int else fact for name, fact in facts.items()
    }
    if translated != english:
        try:
            return translated.format_map(facts)
        except (LookupError, ValueError, TypeError, AttributeError):
            pass
    return english.format_map(facts)


# Who reads: what follows is set apart for each thread and each request.

_reader: ContextVar[Language | None] = ContextVar("reader", default=None)
_finders: list[Callable[[], str]] = []


def current() -> Language:
    """Return the language of who reads what this thread, or this request, writes.

    It is English where nobody has said otherwise: in logs, and on the command line.
    """
    language = _reader.get()
    if language is None:
        code = next((code for find in _finders if (code := find())), "")
        language = languages().get(code, ENGLISH)
        if code:
            _reader.set(language)
    return language


def use(code: str) -> None:
    """Use this language from now on, in this thread or request; English if it is not known."""
    _reader.set(languages().get(code, ENGLISH))


def find_with(find: Callable[[], str]) -> None:
    """Have `current` call this where no language is in use yet.

    find: returns the code of a language, or "" if it can't tell.
    """
    _finders[:] = [find]


def wished(chosen: str | None, wishes: str | None) -> str:
    """Return the chosen language's code if there is such a language, else as `preferred` does."""
    return chosen if chosen in languages() else preferred(wishes)


def preferred(wishes: str | None) -> str:
    """Return the code of the language that fits a browser's wishes best; "en" if none does.

    wishes: the header Accept-Language, such as "de-AT,de;q=0.9,en;q=0.8", or one language. Anybody
        may have written that.
    """
    known = {code.lower(): code for code in languages()}
    for wish in _by_preference((wishes or "")[:HEADER_LENGTH]):
        words = wish.lower().split("-")
        for length in range(len(words), 0, -1):
            start = "-".join(words[:length])
            if start in known:
                return known[start]
        for code in known:  # a person who reads Portuguese has something of pt-BR
            if code.split("-")[0] == words[0]:
                return known[code]
    return ENGLISH.code


def _by_preference(wishes: str) -> list[str]:
    """Return the languages that the header names, the one that is wished for most first."""
    found = []
    for part in wishes.split(","):
        wish, _, weight = part.partition(";")
        match = re.fullmatch(r"q=(0(?:\.\d*)?|1(?:\.0*)?)", weight.strip())
        quality = float(match[1]) if match else 1.0
        if wish.strip() and quality:
            found.append((quality, wish.strip()))
    return [wish for _, wish in sorted(found, key=lambda each: -each[0])]


@cache
def languages() -> dict[str, Language]:
    """Return all languages by their codes, English first; a file that can't be used is left out."""
    found = {ENGLISH.code: ENGLISH}
    for path in sorted(FOLDER.glob("*.toml")):
        try:
            language = read_language(path)
        except LanguageError as error:
            log.error("A language is left out. %s", error)
        else:
            found[language.code] = language
    return found


def read_language(path: Path) -> Language:
    """Return the language of a file. Raises LanguageError."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        language = Language(code=path.stem, **content)
        texts = [language.name, language.direction, language.thousands, language.decimal]
        tables = [language.plurals, language.sentences, *language.counts.values()]
        texts += [text for table in tables for text in table.values()]
        if not all(isinstance(text, str) for text in texts):
            raise ValueError("each value must be a text")
        if language.direction not in ("ltr", "rtl"):
            raise ValueError("direction must be ltr or rtl")
        for rule in language.plurals.values():
            _parse(rule)
    except (OSError, ValueError, TypeError, AttributeError, LanguageError) as error:
        raise LanguageError(f"{path.name}: {error}") from error
    return language


@cache
def _parse(rule: str) -> list[list[tuple[str, int, bool, list[range]]]]:
    """Return the conditions of a plural rule: one of these lists must hold as a whole."""
    alternatives = []
    for alternative in rule.split(" or "):
        conditions = []
        for condition in alternative.split(" and "):
            match = _CONDITION.fullmatch(condition.strip())
            if not match:
                raise LanguageError(f"{condition!r} is no condition such as 'n % 100 = 3..10'")
            operand, divisor, sign, values = match.groups()
            bounds = [value.split("..") for value in values.split(",")]
            ranges = [range(int(ends[0]), int(ends[-1]) + 1) for ends in bounds]
            conditions.append((operand, int(divisor or 0), sign == "=", ranges))
        alternatives.append(conditions)
    return alternatives


def _holds(rule: str, count: int) -> bool:
    """Return whether a plural rule holds for a whole number. Raises LanguageError."""

    def is_met(operand: str, divisor: int, is_equal: bool, ranges: list[range]) -> bool:
        value = abs(count) if operand in "ni" else 0  # the others are about decimals
        value = value % divisor if divisor else value
        return any(value in each for each in ranges) == is_equal

    return any(all(is_met(*each) for each in conditions) for conditions in _parse(rule))
