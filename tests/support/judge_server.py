"""A real HTTP server with the OpenAI shapes, from a model by one plain pass a prompt; it can misbehave.

`exact` makes it answer /tokenize and `logprob_token_ids` as vLLM does; without, it knows neither. `tokenize` is
answered instead of what vLLM would answer.
"""

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from infra.settings.genrm import GenRMSettings
from workers.judges.base import Judge
from workers.judges.factory import build_judge

CONTEXT_CHARACTERS = 3000
"""A longer prompt is refused in the mode `short context`."""
ODD = "sea sea sea"
"""A prompt that holds it gets nonsense in the mode `one odd`."""

NONSENSE = {
    "garbage": b"<html>nginx</html>",
    "other shape": b'{"choices": [{"index": 0, "text": " Yes"}]}',
    "one choice short": b'{"choices": []}',
    "neither": b'{"choices": [{"index": 0, "logprobs": {"top_logprobs": [{" maybe": -0.1}]}}]}',
    "absurd": b'{"choices": [{"index": 0, "logprobs": {"top_logprobs": [{" Yes": 3.0, " No": 1e9}]}}]}',
}
"""Answers to one prompt, with status 200."""


class JudgeServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64  # connections that come together

    def __init__(self, folder: Path, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        self.model: Any = AutoModelForCausalLM.from_pretrained(folder).eval()
        self.mode = "well"
        self.exact = False
        self.votes: list[str] = []
        self.tokenize: dict[str, Any] | None = None
        self.retry_after = ""
        self.paths: list[str] = []
        self.bodies: list[dict[str, Any]] = []
        self.released = threading.Event()
        self.in_work = 0
        self.most_in_work = 0
        self.lock = threading.Lock()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that gave up is no error of the server."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def top(self, text: str, body: dict[str, Any], count: int) -> dict[str, float]:
        tokens = torch.tensor([self.tokenizer.encode(text)])
        with torch.inference_mode():
            logprobs = self.model(input_ids=tokens).logits[0, -1].log_softmax(-1)
        if self.exact and (wanted := body.get("logprob_token_ids")):
            return {f"token_id:{number}": float(logprobs[number]) for number in wanted}
        values, tokens = logprobs.topk(min(count, len(logprobs)))
        return {
            self.tokenizer.decode([token]): value for token, value in zip(tokens.tolist(), values.tolist(), strict=True)
        }


class _Handler(BaseHTTPRequestHandler):
    server: JudgeServer

    def do_POST(self) -> None:
        with self.server.lock:
            self.server.in_work += 1
            self.server.most_in_work = max(self.server.most_in_work, self.server.in_work)
        self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def do_GET(self) -> None:
        if not self.server.exact:
            self._send(404, b"{}")
            return
        text = "# TYPE vllm:prefix_cache_queries_total counter\nvllm:prefix_cache_queries_total 200\n"
        self._send(200, (text + text.replace("queries", "hits").replace("200", "150")).encode())

    def _answer(self, body: dict[str, Any]) -> None:
        self.server.paths.append(self.path)
        self.server.bodies.append(body)
        if self.path == "/tokenize":
            self._tokenize(body)
        elif not self._misbehaves(body):
            self._json(self._chat(body) if "messages" in body else self._completions(body))

    def _misbehaves(self, body: dict[str, Any]) -> bool:
        """Whether the mode has dealt with the request."""
        mode = self.server.mode
        if mode.isdigit():
            self._send(int(mode), b'{"error": "on purpose"}')
        elif mode == "hang":
            self.server.released.wait(30)
        elif mode == "drip":
            self._drip()
        elif mode in NONSENSE:
            self._send(200, NONSENSE[mode])
        else:
            return self._refuses(body)
        return True

    def _refuses(self, body: dict[str, Any]) -> bool:
        """Only some requests."""
        mode, prompts = self.server.mode, body.get("prompt", ())
        if mode in {"no completions", "chat 429"} and self.path.endswith("/v1/completions"):
            self._send(404, b'{"detail": "Not Found"}')
        elif mode == "chat 429" and "Rome" in str(body):
            self._send(429, b"{}")
        elif mode == "unknown fields" and "logprob_token_ids" in body:
            self._send(400, b'{"error": "Unrecognized request argument supplied: logprob_token_ids"}')
        elif mode == "short context" and any(len(text) > CONTEXT_CHARACTERS for text in prompts):
            self._send(400, b'{"error": "maximum context length is exceeded"}')
        elif mode == "one odd" and any(ODD in text for text in prompts):
            self._send(400 if len(prompts) > 1 else 200, b'{"choices": [{"index": 0}]}')
        else:
            return False
        return True

    def _completions(self, body: dict[str, Any]) -> dict[str, Any]:
        if "n" in body:
            return {"choices": [{"index": index, "text": text} for index, text in enumerate(self.server.votes)]}
        found = [self.server.top(text, body, body["logprobs"]) for text in body["prompt"]]
        choices = [{"index": index, "logprobs": {"top_logprobs": [top]}} for index, top in enumerate(found)]
        return {"choices": choices[::-1]}  # the index counts, not the place

    def _chat(self, body: dict[str, Any]) -> dict[str, Any]:
        if "n" in body:
            texts = enumerate(self.server.votes)
            return {"choices": [{"index": index, "message": {"content": text}} for index, text in texts]}
        top = self.server.top(body["messages"][0]["content"], body, body["top_logprobs"])
        listed = [{"token": token, "logprob": value} for token, value in top.items()]
        return {"choices": [{"index": 0, "logprobs": {"content": [{"top_logprobs": listed}]}}]}

    def _tokenize(self, body: dict[str, Any]) -> None:
        if not self.server.exact:
            self._send(404, b'{"detail": "Not Found"}')
            return
        if self.server.tokenize is not None:
            self._json(self.server.tokenize)
            return
        ids = self.server.tokenizer.encode(body["prompt"], add_special_tokens=False)
        names = self.server.tokenizer.convert_ids_to_tokens(ids)
        self._json({"count": len(ids), "tokens": ids, "token_strs": names})

    def _drip(self) -> None:
        """A byte now and then: no single read takes long."""
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        for _ in range(400):
            if self.server.released.wait(0.05):
                return
            self.wfile.write(b" ")
            self.wfile.flush()

    def _json(self, answer: dict[str, Any]) -> None:
        self._send(200, json.dumps(answer).encode())

    def _send(self, status: int, body: bytes) -> None:
        with self.server.lock:  # before the client knows that it may ask again
            self.server.in_work -= 1
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if status != 200 and self.server.retry_after:
            self.send_header("Retry-After", self.server.retry_after)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Tests need no access log."""


@contextmanager
def serving(folder: Path, port: int = 0) -> Iterator[JudgeServer]:
    with JudgeServer(folder, port) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.released.set()
            server.shutdown()
            thread.join()


def remote(server: JudgeServer, **settings: object) -> Judge:
    given = {"backend": "openai", "endpoint": server.endpoint, "model": "tiny", "prompt": "short"}
    return build_judge(GenRMSettings(**given | settings))
