"""The results of laboratory runs, as JSON lines that a later call continues.

Invariant: a run is finished exactly if its line is in the file, and its line names the digest of everything that it was
made from. A line of another digest is not a result of the same run, so that run is made again.
"""

from pathlib import Path

import msgspec


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One measurement of the held-out prompts."""

    version: int
    rollouts: int
    """Rollouts spent before it, on training and on assessing prompts; those of measurements do not count."""
    seconds: float
    """Since training began, by the clock."""
    score: float
    """Mean over the held-out prompts, by the verifier."""
    proxy: float | None = None
    """Mean of the judge's scores of the same prompts; None if no judge took part."""
    domains: dict[str, float] = {}


class GuardPoint(msgspec.Struct, frozen=True, kw_only=True):
    """What the guard saw at one evaluation, over all domains."""

    version: int
    credited: float
    """Fraction of the held-out responses that the scorer of training passes."""
    confirmed: float
    """Fraction of the same responses that are truly right."""
    fall: float
    """How much lower `confirmed` is than at the best evaluation before, on the same prompts."""
    fall_error: float
    """Standard error of `fall`, over prompts."""
    z: float | None
    limit: float | None
    alarms: list[str]
    """Domains whose series raised an alarm here; `overall` is one of them."""


class LabRun(msgspec.Struct, frozen=True, kw_only=True):
    arm: str
    seed: int
    digest: str
    curve: list[Point]
    """From before training to its end."""
    outcomes: dict[str, int]
    """Training groups by outcome."""
    spread: int
    """Training groups whose scores had a spread, and which so could teach something."""
    kinds: dict[str, int]
    """Training groups by the rung and kind of their prompt: `3 sound`."""
    assessed: int
    """Rollouts spent on assessing prompts."""
    entropy: tuple[float, float]
    """Mean of a token's entropy in nats, over the first and the last tenth of the steps."""
    staleness: float
    """Mean age of a token in versions when it was trained on."""
    seconds: float
    cpu_seconds: float
    """CPU time of the run's process and of what it started."""
    guard: list[GuardPoint] = []
    """Empty if no second scorer took part."""


class ResultFile:
    """The results of one experiment."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> list[LabRun]:
        """Raises msgspec.DecodeError, with the line's number in its message."""
        if not self.path.is_file():
            return []
        return [_decode(line, number, self.path) for number, line in enumerate(self.path.read_bytes().splitlines(), 1)]

    def add(self, result: LabRun) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file:
            file.write(msgspec.json.encode(result) + b"\n")


def _decode(line: bytes, number: int, path: Path) -> LabRun:
    try:
        return msgspec.json.decode(line, type=LabRun)
    except msgspec.DecodeError as error:
        raise msgspec.DecodeError(f"{path}:{number}: {error}; remove the line, and its run is made again") from error
