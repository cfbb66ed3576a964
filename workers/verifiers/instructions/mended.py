"""Replacements for benchmark checkers that refuse what their own instruction asks for.

Invariant: an entry replaces the benchmark's checker, and its docstring says what that checker gets wrong.
"""

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

from workers.verifiers.instructions.language_data import sentence_tokenizer, word_tokenize

Checker = Callable[[str, Mapping[str, Any]], bool]


def words_position(response: str, arguments: Mapping[str, Any]) -> bool:
    """Whether the second word and the second to last one are the keyword. The benchmark's checker counts punctuation
    marks as words.
    """
    words = _split_words(response)
    return len(words) > 1 and words[1] == words[-2] == arguments["keyword"].strip()


def keywords_specific_position(response: str, arguments: Mapping[str, Any]) -> bool:
    """Whether the m-th word of the n-th sentence is the keyword. The benchmark's checker counts punctuation marks as
    words.
    """
    sentences = sentence_tokenizer().tokenize(response)
    sentence, place = int(arguments["n"]), int(arguments["m"])
    if not 1 <= sentence <= len(sentences):
        return False
    words = _split_words(sentences[sentence - 1])
    return 1 <= place <= len(words) and words[place - 1] == arguments["keyword"].strip()


def _split_words(text: str) -> list[str]:
    return [token for token in word_tokenize(text) if any(map(str.isalnum, token))]


def line_indent(response: str, _: Mapping[str, Any]) -> bool:
    """Whether the response follows `Create stairs by incrementally indenting each new line.`, with two lines or more.
    The benchmark's checker removes empty lines while it iterates over them, so it keeps every second one of several in
    a row.
    """
    indents = [len(line) - len(line.lstrip(" ")) for line in response.split("\n") if line.strip()]
    return len(indents) > 1 and all(low < high for low, high in pairwise(indents))


MENDED: Mapping[str, Checker] = {
    "format:line_indent": line_indent,
    "words:keywords_specific_position": keywords_specific_position,
    "words:words_position": words_position,
}
