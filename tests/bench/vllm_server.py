"""A real vLLM server on loopback, and its end with all its children."""

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from infra.local.ports import free_port
from infra.local.processes import ChildProcess, spawn

MODEL = "judge"
"""The name under which the model is served."""
START_SECONDS = 180
"""Imports and loading take 35 s on two idle cores; other tests may want them too."""
_ENVIRONMENT = {
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB; vLLM would take half of the memory
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "WARNING",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
}


@contextmanager
def serve_vllm(folder: Path, log: Path, *arguments: str) -> Iterator[str]:
    """The base URL, with /v1, of a server of the model in `folder`, in float32. Raises RuntimeError with the log's end
    where it does not come up. Its engine is a child of its own: both end here, and when this process is killed.
    """
    port = free_port()
    # Not `vllm serve`: that command asks for a distribution called vllm, and this one is called vllm-cpu.
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(folder)]
    command += ["--host", "127.0.0.1", "--port", str(port), "--served-model-name", MODEL, "--dtype", "float32"]
    command += ["--enforce-eager", "--max-model-len", "2048", "--max-num-seqs", "32", *arguments]
    server = spawn("vllm", command, log=log, env=_ENVIRONMENT)
    try:
        _wait(server, f"http://127.0.0.1:{port}")
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate(0.0, signal.SIGKILL)


def _wait(server: ChildProcess, url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.alive:
        try:
            if httpx.get(f"{url}/health", timeout=5).status_code == httpx.codes.OK:
                return
        except httpx.HTTPError:
            time.sleep(0.2)
    raise RuntimeError(f"the vLLM server did not come up (exit code {server.poll()}):\n{server.log_tail(40)}")
