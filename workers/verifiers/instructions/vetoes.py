"""Opt-in vetoes against cheap ways to satisfy a constraint: echoing the prompt, junk, repetition.

Invariant: a veto examines the form only. Without its option it does nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from workers.verifiers.answers.words import has_repeated_ngram, ngrams, words
from workers.verifiers.base import OptionsError, flag

SIZE = 3
"""Words in a row that count as an echo: two are often shared by chance ("of the"), three seldom."""

VETO_OPTIONS = {
    "min_words": "an answer with fewer words is wrong (default 0)",
    "forbid_echo": "if true, an answer with three words in a row from the prompt is wrong (default false)",
    "allow_phrases": "a list of phrases that forbid_echo allows",
    "forbid_repeats": "if true, an answer in which three words in a row come twice is wrong (default false)",
}


def veto(options: Mapping[str, Any], prompt: str, response: str) -> str | None:
    """Returns why the response is vetoed, or None; VETO_OPTIONS describes `options`. Raises OptionsError."""
    found = words(response)
    least, allowed = options.get("min_words", 0), options.get("allow_phrases", ())
    if not isinstance(least, int) or isinstance(least, bool):
        raise OptionsError(f"option min_words must be a whole number, not {least!r:.80}")
    if not isinstance(allowed, list | tuple) or not all(isinstance(phrase, str) for phrase in allowed):
        raise OptionsError(f"option allow_phrases must be a list of texts, not {allowed!r:.80}")
    forbids_echo, forbids_repeats = flag(options, "forbid_echo"), flag(options, "forbid_repeats")
    if len(found) < least:
        return f"{len(found)} words are fewer than {least}"
    if forbids_echo:
        echo = echoed(found, prompt, allowed)
        if echo:
            return f"echoes the prompt: {echo!r}"
    if forbids_repeats and has_repeated_ngram(found, SIZE):
        return f"{SIZE} words in a row come twice"
    return None


def echoed(response: list[str], prompt: str, allowed: Sequence[str]) -> str | None:
    """Returns the first n-gram that the response shares with the prompt, except for those of allowed phrases."""
    fine = {gram for phrase in allowed for gram in ngrams(words(phrase), SIZE)}
    shared = set(ngrams(words(prompt), SIZE)) - fine
    return next((" ".join(gram) for gram in ngrams(response, SIZE) if gram in shared), None)
