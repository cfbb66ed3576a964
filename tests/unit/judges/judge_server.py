"""A real HTTP server with the OpenAI completions shape, from a model by one plain pass a prompt; it can misbehave."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


class JudgeServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        self.model: Any = AutoModelForCausalLM.from_pretrained(folder).eval()
        self.mode = "well"
        self.paths: list[str] = []
        self.released = threading.Event()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def top(self, text: str, count: int) -> dict[str, float]:
        ids = torch.tensor([self.tokenizer.encode(text)])
        with torch.inference_mode():
            logprobs = self.model(input_ids=ids).logits[0, -1].log_softmax(-1)
        values, tokens = logprobs.topk(min(count, len(logprobs)))
        return {
            self.tokenizer.decode([token]): value for token, value in zip(tokens.tolist(), values.tolist(), strict=True)
        }


class _Handler(BaseHTTPRequestHandler):
    server: JudgeServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.paths.append(self.path)
        match self.server.mode:
            case "hang":
                self.server.released.wait(30)
            case "garbage":
                self._send(200, b"<html>nginx</html>")
            case "other shape":
                self._send(200, b'{"choices": [{"index": 0, "text": " Yes"}]}')
            case "one choice short":
                answer = self._completions(body)
                self._send(200, json.dumps({"choices": answer["choices"][1:]}).encode())
            case "neither":
                choices = [{"index": 0, "logprobs": {"top_logprobs": [{" maybe": -0.1}]}}]
                self._send(200, json.dumps({"choices": choices}).encode())
            case "no completions" if self.path.endswith("/v1/completions"):
                self._send(404, b'{"detail": "Not Found"}')
            case "well" | "no completions":
                answer = self._chat(body) if "messages" in body else self._completions(body)
                self._send(200, json.dumps(answer).encode())
            case status:
                self._send(int(status), b'{"error": "on purpose"}')

    def _completions(self, body: dict[str, Any]) -> dict[str, Any]:
        found = [self.server.top(text, body["logprobs"]) for text in body["prompt"]]
        choices = [{"index": index, "logprobs": {"top_logprobs": [top]}} for index, top in enumerate(found)]
        return {"choices": choices[::-1]}  # the index counts, not the place

    def _chat(self, body: dict[str, Any]) -> dict[str, Any]:
        top = self.server.top(body["messages"][0]["content"], body["top_logprobs"])
        listed = [{"token": token, "logprob": value} for token, value in top.items()]
        return {"choices": [{"logprobs": {"content": [{"top_logprobs": listed}]}}]}

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Tests need no access log."""


@contextmanager
def serving(folder: Path) -> Iterator[JudgeServer]:
    with JudgeServer(folder) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.released.set()
            server.shutdown()
            thread.join()
