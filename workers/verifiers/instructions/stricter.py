"""Additional checks for benchmark checkers that accept what their own instruction forbids.

Invariant: a predicate here runs only after the benchmark's own checker has accepted, and can only refuse; a response
that the benchmark refuses is never accepted. Each docstring says what the benchmark's checker accepted.
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
    """Requires a letter: digits alone passed as every language."""
    return any(map(str.isalpha, text))


def _one_answer(text: str, _: Mapping[str, Any]) -> bool:
    """Requires exactly one of the fixed answers: two of them passed as one."""
    return sum(answer in text for answer in _FIXED_ANSWERS) == 1


def _has_bullets(text: str, _: Mapping[str, Any]) -> bool:
    """Requires a bullet: a text without one passed as bullets with sub-bullets."""
    return _BULLET.search(text) is not None


def _asks(text: str, _: Mapping[str, Any]) -> bool:
    """Requires a question: a text without an end mark passed as 2:1, and as balanced (0 and 0)."""
    return "?" in text


def _different_words(text: str, _: Mapping[str, Any]) -> bool:
    """Requires that no word comes twice: three sentences of the same words passed as all different."""
    found = [word.casefold() for word in _WORD.findall(text)]
    return len(found) == len(set(found))


def _has_thesis(text: str, _: Mapping[str, Any]) -> bool:
    """Requires text in the thesis: `<em></em>` passed as one."""
    return _THESIS.search(text) is not None


def _real_dates(text: str, _: Mapping[str, Any]) -> bool:
    """Requires dates that exist: 1800-00-00 and 1801-02-29 passed."""
    try:
        return bool([date.fromisoformat(part.strip()) for part in text.strip().split(",")])
    except ValueError:
        return False


def _whole_names(text: str, arguments: Mapping[str, Any]) -> bool:
    """Requires whole words: `Miami` passed as Mia."""
    return len(_NAMES & set(re.findall(r"[^\W\d_]+", text))) >= int(arguments["N"])


def _different_conjunctions(text: str, arguments: Mapping[str, Any]) -> bool:
    """Requires different conjunctions: `and`, `And` and `and,` passed as three."""
    return len(_CONJUNCTIONS & {word.casefold() for word in _WORD.findall(text)}) >= int(arguments["small_n"])


def _first_word_changed(text: str, arguments: Mapping[str, Any]) -> bool:
    """Requires another first word: the request with a second space somewhere passed as changed."""
    return text.split()[:1] != str(arguments["prompt_to_repeat"]).split()[:1]


def _unique_words(text: str, arguments: Mapping[str, Any]) -> bool:
    """Requires words with letters or digits: a dash between spaces passed as a word."""
    return len({word.casefold() for word in re.findall(r"\w+(?:['’-]\w+)*", text)}) >= int(arguments["N"])


def _is_json(text: str, _: Mapping[str, Any]) -> bool:
    """Requires strict JSON: NaN passed, and so did an object that has a key twice."""
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
