"""Regular expressions: a response that must match the prompt's, or one that is a pattern and must match examples.

Invariant: every search ends within SECONDS. One that takes longer scores 0, even if the pattern is the prompt's:
what matches is found soon, while a text that is made to try every way could else make its own verdict vanish.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, ClassVar

import regex

from streams.messages import Question, Status
from workers.verifiers.answers.reasoning import after_reasoning
from workers.verifiers.base import BaseVerifier, OptionsError, Verdict

SECONDS = 0.5
"""A good pattern takes microseconds. The search looks at the clock now and then only, so that it may take thrice this;
the process's own budget, which is longer, ends what ignores it."""
MAX_PATTERN = 2000
MAX_TEXT = 200_000
MAX_EXAMPLES = 1000

_FLAGS = {"i": regex.IGNORECASE, "m": regex.MULTILINE, "s": regex.DOTALL, "x": regex.VERBOSE, "a": regex.ASCII}
_FENCE = re.compile(r"```[ \t]*\w*[ \t]*\n(.*?)\n?[ \t]*```", re.DOTALL)
_TAG = re.compile(r"<answer>(.*)</answer>", re.DOTALL | re.IGNORECASE)
_FUZZY = re.compile(r"(?<!\\)\{[^{}]*[a-zA-Z<=]")
"""Syntax of the regex module's approximate matching, which Python's own patterns know as plain text."""


class NoPatternError(ValueError):
    """The response is not a pattern."""


class RegexVerifier(BaseVerifier):
    name = "regex"
    version = "3"
    policy = (
        "Only the text after the reasoning block counts. With a pattern (or a reference) the whole text must match "
        "it; with mode search a part suffices. With match or reject the text itself, bare or in one fenced block, "
        "backticks or `<answer>`, must be a Python pattern that matches each of match and none of reject, as a whole. "
        "An empty text is wrong, and so is one on which a search takes too long."
    )
    options: ClassVar[Mapping[str, str]] = {
        "pattern": "the pattern, of Python's re or the regex module (default: the reference)",
        "flags": "letters of i, m, s, x, a, as in (?i) (default none)",
        "mode": "fullmatch (default) or search",
        "match": "texts that the response, as a pattern, must match; this or reject turns the direction round",
        "reject": "texts that the response, as a pattern, must not match",
    }

    def judge(self, question: Question, response: str) -> Verdict:
        text = after_reasoning(response)
        try:
            flags, mode = _flags(question.options), _mode(question.options)
            if "match" in question.options or "reject" in question.options:
                return self._judge_pattern(text, question.options, flags, mode)
            return self._judge_text(text, _pattern(question, flags), mode)
        except OptionsError as error:
            return self._refused(error)
        except NoPatternError as error:
            return self._verdict(0.0, Status.UNPARSEABLE, str(error))

    def _judge_text(self, text: str, pattern: "regex.Pattern[str]", mode: str) -> Verdict:
        if not text:
            return self._verdict(0.0, Status.UNPARSEABLE, "nothing follows the reasoning")
        if len(text) > MAX_TEXT:
            return self._verdict(0.0, Status.UNPARSEABLE, f"{len(text)} characters are more than {MAX_TEXT}")
        try:
            found = _matches(pattern, text, mode)
        except TimeoutError:
            why = f"the pattern takes longer than {SECONDS} s on {len(text)} characters"
            return self._verdict(0.0, Status.TIMEOUT, why)
        if not found:
            return self._verdict(0.0, Status.WRONG, f"{text[:80]!r} does not match")
        return self._verdict(1.0, Status.CORRECT, "matches")

    def _judge_pattern(self, text: str, options: Mapping[str, Any], flags: int, mode: str) -> Verdict:
        """Raises OptionsError, NoPatternError."""
        examples = [(True, own) for own in _texts(options, "match")] + [
            (False, own) for own in _texts(options, "reject")
        ]
        if not examples:
            raise OptionsError("match and reject are both empty")
        pattern = _response_pattern(text, flags)
        try:
            failed = next((own for wanted, own in examples if _matches(pattern, own, mode) != wanted), None)
        except TimeoutError:
            return self._verdict(0.0, Status.TIMEOUT, f"the pattern takes longer than {SECONDS} s")
        if failed is not None:
            return self._verdict(0.0, Status.WRONG, f"the pattern is wrong about {failed[:80]!r}")
        return self._verdict(1.0, Status.CORRECT, f"right about {len(examples)} texts")


def _matches(pattern: "regex.Pattern[str]", text: str, mode: str) -> bool:
    """Raises TimeoutError."""
    search = pattern.fullmatch if mode == "fullmatch" else pattern.search
    return search(text, timeout=SECONDS) is not None


def _pattern(question: Question, flags: int) -> "regex.Pattern[str]":
    """Raises OptionsError."""
    text = question.options.get("pattern", question.ground_truth)
    if not isinstance(text, str) or not text:
        raise OptionsError("the question has no pattern; set options.pattern or the ground truth")
    try:
        return _compiled(text, flags)
    except (regex.error, RecursionError, OverflowError) as error:
        raise OptionsError(f"the pattern {text[:80]!r} is broken: {error}") from error


def _response_pattern(text: str, flags: int) -> "regex.Pattern[str]":
    """Raises NoPatternError."""
    tag = _TAG.fullmatch(text)
    text = tag[1].strip() if tag else text
    fences = _FENCE.findall(text)
    if len(set(fences)) > 1:
        raise NoPatternError("several fenced blocks disagree")
    text = fences[0].strip() if fences else text
    if not fences and len(text) > 2 and text[0] == text[-1] == "`":
        text = text.strip("`")
    if not text or len(text) > MAX_PATTERN:
        raise NoPatternError(f"a pattern has 1 to {MAX_PATTERN} characters, not {len(text)}")
    if _FUZZY.search(text):
        raise NoPatternError("a brace in a pattern holds a count or nothing; escape it")
    try:
        re.compile(text)  # what Python's own patterns refuse, such as recursion, is not an answer
        return _compiled(text, flags)
    except (re.error, regex.error, RecursionError, OverflowError) as error:
        raise NoPatternError(f"no pattern: {error}") from error


@lru_cache(maxsize=256)
def _compiled(text: str, flags: int) -> "regex.Pattern[str]":
    return regex.compile(text, flags | regex.VERSION0)


def _flags(options: Mapping[str, Any]) -> int:
    """Raises OptionsError."""
    given = options.get("flags", "")
    if not isinstance(given, str) or not set(given) <= set(_FLAGS):
        raise OptionsError(f"option flags must be letters of {', '.join(_FLAGS)}, not {given!r}")
    return sum(_FLAGS[letter] for letter in set(given))


def _mode(options: Mapping[str, Any]) -> str:
    """Raises OptionsError."""
    mode = options.get("mode", "fullmatch")
    if mode not in {"fullmatch", "search"}:
        raise OptionsError(f"option mode must be fullmatch or search, not {mode!r}")
    return str(mode)


def _texts(options: Mapping[str, Any], name: str) -> Sequence[str]:
    """Raises OptionsError."""
    given = options.get(name, ())
    if (
        not isinstance(given, list | tuple)
        or len(given) > MAX_EXAMPLES
        or any(not isinstance(own, str) for own in given)
    ):
        raise OptionsError(f"option {name} must be a list of at most {MAX_EXAMPLES} texts")
    return given
