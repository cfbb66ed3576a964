"""Limits and programs for a sandbox's tests, and what the host sees of the processes that they leave."""

from pathlib import Path

from workers.sandbox.base import Program, ProgramLimits

MIB = 2**20
LIMITS = ProgramLimits(
    wall_seconds=8.0, memory_bytes=192 * MIB, processes=16, output_bytes=64 * 1024, file_bytes=4 * MIB
)
SOON = ProgramLimits(wall_seconds=0.5, memory_bytes=192 * MIB, processes=16, output_bytes=64 * 1024, file_bytes=4 * MIB)


def python(source: str, stdin: bytes = b"", *arguments: str) -> Program:
    return Program("python", source, stdin, arguments)


def gone(pid: int) -> bool:
    """Not there, or a zombie that its parent has yet to see."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def processes_with(word: str) -> list[int]:
    """Pids whose command line holds it."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdigit() and word.encode() in (process / "cmdline").read_bytes():
                found.append(int(process.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found
