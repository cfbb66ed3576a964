"""The judge behind any OpenAI-compatible endpoint: one token, its top log-probabilities, YES against NO among them.

Invariant: whatever is wrong with the endpoint, its answer or its absence, is JudgeUnavailableError with the reason;
nothing it sends becomes a score but log-probabilities of YES and NO.
"""

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any

import httpx

from workers.judges.base import Judgement, JudgeRequest, JudgeUnavailableError
from workers.judges.content import judge_content, judgement
from workers.judges.prompt import PROMPT_VERSION, PromptForm, judge_text

TOP = 20
"""What servers give at most (vLLM's default limit)."""
CONNECTIONS = 16
"""Chat completions take one prompt each; the server batches what arrives together."""
ROUNDING = 1e-3
"""By which log-probabilities of a bfloat16 server may sum to more than one."""
_MISSING = {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED}


class OpenAIJudge:
    """Asks /completions, with all prompts in one request; from a server that has none, /chat/completions."""

    name = "genrm-openai"

    def __init__(
        self,
        endpoint: str,
        model: str,
        *,
        api_key: str = "",
        timeout_seconds: float = 60.0,
        form: PromptForm = PromptForm.RUBRIC,
    ) -> None:
        self._endpoint = endpoint.rstrip("/")
        self._model = model
        self._form = form
        self._chat = False
        self._client = httpx.Client(
            headers={"Authorization": f"Bearer {api_key}"} if api_key else {}, timeout=timeout_seconds
        )
        self._threads = ThreadPoolExecutor(CONNECTIONS, "judge")
        self.version = f"{model}-p{PROMPT_VERSION}-{form}"

    def judge(self, requests: Sequence[JudgeRequest]) -> list[Judgement]:
        """Raises JudgeUnavailableError; ValueError where a question has nothing to judge by."""
        return judge_content(requests, self._ask)

    def close(self) -> None:
        self._threads.shutdown(cancel_futures=True)
        self._client.close()

    def _ask(self, requests: Sequence[JudgeRequest]) -> list[Judgement]:
        texts = [judge_text(request, self._form) for request in requests]
        found = None if self._chat else self._completions(texts)
        if found is None:
            found = list(self._threads.map(self._chat_completion, texts))
            self._chat = True
        return [self._judgement(one) for one in found]

    def _completions(self, texts: list[str]) -> list[Mapping[str, float]] | None:
        """Top log-probabilities a prompt, or None where the server has no such endpoint."""
        body = {"model": self._model, "prompt": texts, "max_tokens": 1, "temperature": 0, "logprobs": TOP}
        answer = self._post("completions", body)
        if answer is None:
            return None
        choices = self._field(lambda: sorted(answer["choices"], key=lambda choice: choice["index"]))
        if len(choices) != len(texts):
            raise self._unavailable(f"{len(choices)} choices for {len(texts)} prompts")
        return [self._field(lambda one=choice: dict(one["logprobs"]["top_logprobs"][0])) for choice in choices]

    def _chat_completion(self, text: str) -> Mapping[str, float]:
        messages = [{"role": "user", "content": text}]
        body = {"model": self._model, "messages": messages, "max_tokens": 1, "temperature": 0}
        answer = self._post("chat/completions", body | {"logprobs": True, "top_logprobs": TOP})
        if answer is None:
            raise self._unavailable("it has neither /completions nor /chat/completions, or no such model")
        top = self._field(lambda: answer["choices"][0]["logprobs"]["content"][0]["top_logprobs"])
        tokens: Mapping[str, float] = self._field(lambda: {one["token"]: one["logprob"] for one in top})
        return tokens

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        """The decoded answer, or None where the server has no such path. Raises JudgeUnavailableError."""
        try:
            response = self._client.post(f"{self._endpoint}/{path}", json=body)
        except httpx.HTTPError as error:
            raise self._unavailable(f"{type(error).__name__}: {error}") from error
        if response.status_code in _MISSING:
            return None
        if response.status_code != HTTPStatus.OK:
            raise self._unavailable(f"HTTP {response.status_code}: {response.text[:200]}")
        try:
            return response.json()
        except ValueError as error:
            raise self._unavailable(f"its answer is not JSON: {response.text[:200]!r}") from error

    def _judgement(self, top: Mapping[str, float]) -> Judgement:
        yes, no = (self._field(lambda word=word: _mass(top, word)) for word in ("yes", "no"))
        if not 0 < yes + no <= 1 + ROUNDING:
            raise self._unavailable(f"P(YES) + P(NO) = {yes + no:.3g}; the likeliest tokens are {list(top)[:5]}")
        return judgement(yes, no)

    def _field(self, read: Any) -> Any:
        """`read()`, where what it reads has the shape it should have. Raises JudgeUnavailableError."""
        try:
            return read()
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise self._unavailable(f"unexpected answer: {type(error).__name__}: {error}") from error

    def _unavailable(self, why: str) -> JudgeUnavailableError:
        return JudgeUnavailableError(f"judge {self._model} at {self._endpoint}: {why}")


def _mass(top: Mapping[str, float], word: str) -> float:
    """Over spelling variants. Servers show a leading space as it is, or as the vocabulary's mark for it."""
    return math.fsum(math.exp(value) for token, value in top.items() if token.strip(" ĠġĊ▁\n").casefold() == word)
