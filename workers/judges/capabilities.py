"""Finds out what an OpenAI-compatible server can do, by asking it and not by its name.

- /completions takes many prompts in one request; a server without it is asked through /chat/completions.
- vLLM's /tokenize tells which single tokens spell a verdict, and its `logprob_token_ids` gives the log-probabilities
  of exactly those, whatever their rank. With other servers only the 20 likeliest tokens count.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workers.judges.completions import (
    TOP,
    WordIds,
    has_all_ids,
    logprobs_body,
    normalise_word,
    parse_chat_logprobs,
    parse_choices,
    parse_completion_logprobs,
)
from workers.judges.endpoint import Endpoint, MissingError, NonsenseError, OutageError, RefusedError
from workers.judges.verdicts import Scale

_PROBE = "Say YES or NO only.\nVerdict:"


@dataclass(frozen=True, slots=True)
class ServerAccess:
    chat: bool
    ids: Mapping[Scale, WordIds]
    """Empty if the server does not return log-probs by token id."""


def request(model: str, prompts: Sequence[str], *, chat: bool) -> dict[str, Any]:
    """Returns the part of the body that holds what is judged; a chat holds one prompt."""
    if chat:
        [prompt] = prompts
        return {"model": model, "messages": [{"role": "user", "content": prompt}]}
    return {"model": model, "prompt": list(prompts)}


def logprobs(*, chat: bool) -> dict[str, Any]:
    return {"logprobs": True, "top_logprobs": TOP} if chat else {"logprobs": TOP}


def path(endpoint: Endpoint, *, chat: bool) -> str:
    return f"{endpoint.base}/chat/completions" if chat else f"{endpoint.base}/completions"


async def probe(endpoint: Endpoint, model: str, api: str, scales: Sequence[Scale], deadline: float) -> ServerAccess:
    """`api` is completions, chat, or auto, which takes the first that the server has. Raises OutageError,
    NonsenseError.
    """
    ids = await _find_word_ids(endpoint, model, scales, deadline)
    for chat in {"auto": (False, True), "completions": (False,), "chat": (True,)}[api]:
        try:
            exact = await _returns_logprobs_by_id(
                endpoint, model, next(iter(ids.values()), None), chat=chat, deadline=deadline
            )
        except MissingError:
            continue
        return ServerAccess(chat, ids if exact else {})
    raise OutageError(f"it has neither /completions nor /chat/completions, or no model {model!r} (api: {api})")


async def _returns_logprobs_by_id(
    endpoint: Endpoint, model: str, ids: WordIds | None, *, chat: bool, deadline: float
) -> bool:
    """Raises OutageError, NonsenseError, and MissingError if the path does not exist."""
    body = request(model, [_PROBE], chat=chat) | logprobs(chat=chat) | logprobs_body(ids)
    try:
        [[choice]] = parse_choices(await endpoint.post(path(endpoint, chat=chat), body, deadline), prompts=1)
        top = (parse_chat_logprobs if chat else parse_completion_logprobs)(choice)
    except RefusedError:  # it does not know the fields
        return False
    return ids is not None and has_all_ids(top, ids)


async def _find_word_ids(
    endpoint: Endpoint, model: str, scales: Sequence[Scale], deadline: float
) -> dict[Scale, WordIds]:
    """Returns no ids if the server does not tokenise. Raises OutageError, NonsenseError."""
    texts = {f"{space}{name}" for scale in scales for own in scale.spellings for name in own for space in ("", " ")}
    try:
        found = await asyncio.gather(*(_find_single_token(endpoint, model, text, deadline) for text in sorted(texts)))
    except (MissingError, RefusedError, NonsenseError):
        return {}
    token = dict(zip(sorted(texts), found, strict=True))
    ids = {scale: tuple(_ids_of_spellings(token, own) for own in scale.spellings) for scale in scales}
    for scale, sides in ids.items():
        for word, own in zip(scale.words, sides, strict=True):
            if not own:
                raise NonsenseError(f"the tokenizer of {model!r} has no single token for {word}")
    return ids


def _ids_of_spellings(token: Mapping[str, int | None], names: Sequence[str]) -> tuple[int, ...]:
    found = {token[f"{space}{name}"] for name in names for space in ("", " ")}
    return tuple(sorted(number for number in found if number is not None))


async def _find_single_token(endpoint: Endpoint, model: str, text: str, deadline: float) -> int | None:
    """Returns the one token that spells `text`, or None. An unknown word has a token too, which spells
    something else.
    """
    body = {"model": model, "prompt": text, "add_special_tokens": False, "return_token_strs": True}
    answer = await endpoint.post(f"{endpoint.root}/tokenize", body, deadline)
    match answer:
        case {"count": 1, "tokens": [int() as number], "token_strs": [str() as name]} if (
            normalise_word(name) == text.strip().upper()
        ):
            return number
        case {"count": int(), "tokens": [_, *_]}:
            return None
    raise NonsenseError(f"/tokenize: unexpected answer {str(answer)[:100]}")
