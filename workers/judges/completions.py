"""Requests to OpenAI-compatible servers, and the verdict masses and samples in their responses.

Invariant: only the log-prob of a verdict word becomes mass. A response of another shape is a NonsenseError.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from workers.judges.endpoint import GarbledError, NonsenseError
from workers.judges.verdicts import Scale, VerdictProbabilities

TOP = 20
"""Largest number of log-probs that servers return per token (vLLM's default limit)."""
_ID = "token_id:"
"""Prefix of a token's name in vLLM's responses under return_tokens_as_token_ids."""

T = TypeVar("T")
WordIds = tuple[tuple[int, ...], ...]
"""[word][spelling]: the tokens that spell a scale's words."""


def logprobs_body(ids: WordIds | None) -> dict[str, Any]:
    """Asks for one token with log-probs: of exactly `ids` if they are given, else of the likeliest tokens."""
    body: dict[str, Any] = {"max_tokens": 1, "temperature": 0}
    if ids:
        body |= {"logprob_token_ids": [number for own in ids for number in own], "return_tokens_as_token_ids": True}
    return body


def parse_choices(answer: Any, prompts: int, each: int = 1) -> list[list[Mapping[str, Any]]]:
    """Returns the choices as [prompt][sample]. Raises NonsenseError."""
    choices = parse_or_nonsense(lambda: sorted(answer["choices"], key=lambda choice: choice["index"]))
    if len(choices) != prompts * each:
        raise GarbledError(f"{len(choices)} choices for {prompts * each}")
    return [choices[start : start + each] for start in range(0, len(choices), each)]


def parse_completion_logprobs(choice: Mapping[str, Any]) -> dict[str, float]:
    """Returns the log-probs by token. Raises NonsenseError."""
    return parse_or_nonsense(
        lambda: {str(token): float(value) for token, value in choice["logprobs"]["top_logprobs"][0].items()}
    )


def parse_chat_logprobs(choice: Mapping[str, Any]) -> dict[str, float]:
    """Returns the log-probs by token. Raises NonsenseError."""
    top = parse_or_nonsense(lambda: choice["logprobs"]["content"][0]["top_logprobs"])
    return parse_or_nonsense(lambda: {str(one["token"]): float(one["logprob"]) for one in top})


def parse_probabilities(top: Mapping[str, float], scale: Scale, ids: WordIds | None) -> VerdictProbabilities:
    """Sums the mass of each word, by token id if the server names tokens by id, else by spelling. Raises NonsenseError
    if the result is not usable.
    """
    if ids and all(token.startswith(_ID) for token in top):
        masses = tuple(_sum_masses(top.get(f"{_ID}{number}", -math.inf) for number in own) for own in ids)
    else:
        masses = tuple(
            _sum_masses(value for token, value in top.items() if normalise_word(token) == word) for word in scale.words
        )
    found = VerdictProbabilities(scale, masses)
    if not found.usable:
        raise NonsenseError(f"{found} is not a part of a distribution; the likeliest tokens are {list(top)[:5]}")
    return found


def has_all_ids(top: Mapping[str, float], ids: WordIds) -> bool:
    """Whether the server gave the log-probability of every token that it was asked for."""
    return all(f"{_ID}{number}" in top for own in ids for number in own)


def normalise_word(token: str) -> str:
    """Returns the word in upper case. Servers show a leading space as a space or as the vocabulary's mark for it."""
    return token.strip(" ĠġĊ▁\n").upper()


def parse_or_nonsense(read: Callable[[], T]) -> T:
    """Returns `read()`. Raises GarbledError if what it reads has another shape than it expects."""
    try:
        return read()
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise GarbledError(f"unexpected answer: {type(error).__name__}: {error}") from error


def parse_samples(choices: Sequence[Mapping[str, Any]], *, chat: bool) -> list[str]:
    """Returns the texts of the choices, without reasoning that a server returns separately. Raises NonsenseError."""
    return parse_or_nonsense(
        lambda: [str(one["message"]["content"] or "") if chat else str(one["text"]) for one in choices]
    )


def _sum_masses(values: Iterable[float]) -> float:
    """An absurdly high log-prob raises no error here: its mass is too large to be usable."""
    return math.fsum(math.exp(min(value, 700.0)) for value in values)
