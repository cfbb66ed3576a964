"""What the verifiers share about plain text: words, n-grams, and the part of a response that counts."""

import re

_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_CLOSING = re.compile(r"</(?:think|thinking|reasoning|thought)>", re.IGNORECASE)
_OPENING = re.compile(r"<(?:think|thinking|reasoning|thought)>", re.IGNORECASE)


def after_reasoning(response: str) -> str:
    """What stands after the last reasoning block, stripped; an unclosed block hides all that follows it."""
    closings = list(_CLOSING.finditer(response))
    rest = response[closings[-1].end() :] if closings else response
    opening = _OPENING.search(rest)
    return (rest[: opening.start()] if opening else rest).strip()


def words(text: str) -> list[str]:
    """Case-folded words; a hyphen or an apostrophe inside a word belongs to it."""
    return [match.group().casefold() for match in _WORD.finditer(text)]


def ngrams(tokens: list[str], size: int) -> list[tuple[str, ...]]:
    return [tuple(tokens[start : start + size]) for start in range(len(tokens) - size + 1)]


def has_repeated_ngram(tokens: list[str], size: int) -> bool:
    found = ngrams(tokens, size)
    return len(set(found)) < len(found)
