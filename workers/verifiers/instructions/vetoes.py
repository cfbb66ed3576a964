"""Opt-in vetoes against cheap ways to satisfy a constraint: echoing the prompt, junk, repetition.

Invariant: a veto looks at the form only. Without its option it does nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from workers.verifiers.answers.words import has_repeated_ngram, ngrams, words
from workers.verifiers.base import OptionsError, flag

SIZE = 3
"""Three words in a row: two are often shared by chance ("of the"), three seldom."""

VETO_OPTIONS = {
    "min_words": "fewer words are wrong (default 0)",
    "forbid_echo": "true: three words in a row from the prompt are wrong (default false)",
    "allow_phrases": "a list of phrases that forbid_echo lets pass",
    "forbid_repeats": "true: three words in a row that come twice are wrong (default false)",
}


def veto(options: Mapping[str, Any], prompt: str, response: str) -> str | None:
    """Why the response is vetoed, or None; `options` as in VETO_OPTIONS. Raises OptionsError."""
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
    """The first n-gram that the response shares with the prompt and no allowed phrase holds."""
    fine = {gram for phrase in allowed for gram in ngrams(words(phrase), SIZE)}
    shared = set(ngrams(words(prompt), SIZE)) - fine
    return next((" ".join(gram) for gram in ngrams(response, SIZE) if gram in shared), None)
