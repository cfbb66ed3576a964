"""The rest of an instruction, for benchmark checkers that let pass what their own instruction forbids.

Invariant: a predicate here is asked after the benchmark's own checker said yes, and can only say no; a response that
the benchmark refuses is never accepted. Each entry says what would have passed.
"""

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from workers.verifiers.answers.strict_json import NotJsonError, parse

_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_BULLET = re.compile(r"^\s*\*(?!\*)", re.MULTILINE)
_THESIS = re.compile(r"<(i|em)>\s*[^\s<][^<]*</\1>")
_FENCE = re.compile(r"\A```(?:json)?|```\Z", re.IGNORECASE)
_CONJUNCTIONS = frozenset(["and", "but", "for", "nor", "or", "so", "yet"])
_FIXED_ANSWERS = ("My answer is yes.", "My answer is no.", "My answer is maybe.")
_NAMES = frozenset(
    [
        *("Emma", "Liam", "Sophia", "Jackson", "Olivia", "Noah", "Ava", "Lucas", "Isabella", "Mason", "Mia", "Ethan"),
        *("Charlotte", "Alexander", "Amelia", "Benjamin", "Harper", "Leo", "Zoe", "Daniel", "Chloe", "Samuel", "Lily"),
        *("Matthew", "Grace", "Owen", "Abigail", "Gabriel", "Ella", "Jacob", "Scarlett", "Nathan", "Victoria"),
        *("Elijah", "Layla", "Nicholas", "Audrey", "David", "Hannah", "Christopher", "Penelope", "Thomas", "Nora"),
        *("Andrew", "Aria", "Joseph", "Claire", "Ryan", "Stella", "Jonathan"),
    ]
)

Predicate = Callable[[str, Mapping[str, Any]], bool]


def _in_letters(text: str, _: Mapping[str, Any]) -> bool:
    """Digits alone are in no language, and passed as every language."""
    return any(map(str.isalpha, text))


def _one_answer(text: str, _: Mapping[str, Any]) -> bool:
    """Two of the fixed answers passed as one of them."""
    return sum(answer in text for answer in _FIXED_ANSWERS) == 1


def _has_bullets(text: str, _: Mapping[str, Any]) -> bool:
    """A text without a bullet passed as bullets with sub-bullets."""
    return _BULLET.search(text) is not None


def _asks(text: str, _: Mapping[str, Any]) -> bool:
    """A text without an end mark passed as 2:1, and as balanced: 0 and 0."""
    return "?" in text


def _different_words(text: str, _: Mapping[str, Any]) -> bool:
    """Three sentences of the same words passed as all different."""
    found = [word.casefold() for word in _WORD.findall(text)]
    return len(found) == len(set(found))


def _has_thesis(text: str, _: Mapping[str, Any]) -> bool:
    """`<em></em>` passed as a thesis."""
    return _THESIS.search(text) is not None


def _real_dates(text: str, _: Mapping[str, Any]) -> bool:
    """1800-00-00 and 1801-02-29 passed as dates."""
    try:
        return bool([date.fromisoformat(part.strip()) for part in text.strip().split(",")])
    except ValueError:
        return False


def _whole_names(text: str, arguments: Mapping[str, Any]) -> bool:
    """`Miami` passed as Mia."""
    return len(_NAMES & set(re.findall(r"[^\W\d_]+", text))) >= int(arguments["N"])


def _different_conjunctions(text: str, arguments: Mapping[str, Any]) -> bool:
    """`and`, `And` and `and,` passed as three."""
    return len(_CONJUNCTIONS & {word.casefold() for word in _WORD.findall(text)}) >= int(arguments["small_n"])


def _first_word_changed(text: str, arguments: Mapping[str, Any]) -> bool:
    """The request with a second space somewhere passed as changed."""
    return text.split()[:1] != str(arguments["prompt_to_repeat"]).split()[:1]


def _unique_words(text: str, arguments: Mapping[str, Any]) -> bool:
    """A dash between spaces passed as a word."""
    return len({word.casefold() for word in re.findall(r"\w+(?:['’-]\w+)*", text)}) >= int(arguments["N"])


def _is_json(text: str, _: Mapping[str, Any]) -> bool:
    """NaN passed as JSON, and so did an object that has a key twice."""
    try:
        parse(_FENCE.sub("", text.strip()).strip())
    except NotJsonError:
        return False
    return True


STRICTER: Mapping[str, Predicate] = {
    "language:response_language": _in_letters,
    "detectable_format:constrained_response": _one_answer,
    "detectable_format:json_format": _is_json,
    "format:sub-bullets": _has_bullets,
    "ratio:sentence_type": _asks,
    "ratio:sentence_balance": _asks,
    "ratio:sentence_words": _different_words,
    "format:thesis": _has_thesis,
    "custom:date_format_list": _real_dates,
    "count:person_names": _whole_names,
    "count:conjunctions": _different_conjunctions,
    "count:unique_word_count": _unique_words,
    "repeat:repeat_change": _first_word_changed,
}
