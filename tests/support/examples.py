"""One complete example of every message, and the golden files made of them.

`python tests/support/examples.py` writes a golden file for each message that has none for the current
schema version. Existing files are never written again: they are what is in somebody's log.
"""

from pathlib import Path

import msgspec

from streams.arrays import pack_logprobs, pack_tokens
from streams.codec import encode
from streams.messages import (
    SCHEMA_VERSION,
    GroupClosed,
    LineageStarted,
    Outcome,
    PolicyVersion,
    PromptTicket,
    Purpose,
    Question,
    Rollout,
    Route,
    Sampling,
    ScoredTrajectory,
    Segment,
    Source,
    Status,
    Timings,
    VersionSpan,
)

GOLDEN = Path(__file__).parents[1] / "unit" / "streams" / "golden"

QUESTION = Question(
    prompt="What is 2 + 3?",
    verifier="math",
    ground_truth="5",
    references=("It is 5.", "5"),
    options={"tolerance": 0.001, "units": ["m", "cm"]},
)
SAMPLING = Sampling(temperature=0.7, max_new_tokens=32, top_p=0.9, seed=11)
SEGMENTS = (
    Segment(source=Source.PROMPT, token_ids=pack_tokens([1, 2, 70_000])),
    Segment(source=Source.POLICY, token_ids=pack_tokens([5, 6]), logprobs=pack_logprobs([-0.25, -1.5])),
    Segment(source=Source.ENVIRONMENT, token_ids=pack_tokens([7])),
    Segment(source=Source.POLICY, token_ids=pack_tokens([8]), logprobs=pack_logprobs([-0.125])),
)
ROLLOUT = Rollout(
    run_id="r1",
    group_id="r1:4",
    rollout_id="r1:4/2",
    seq=4,
    prompt_id="p9",
    domain="mathematics",
    purpose=Purpose.TRAIN,
    index=2,
    group_size=8,
    segments=SEGMENTS,
    spans=(VersionSpan(lineage=0, version=3, tokens=2), VersionSpan(lineage=1, version=4, tokens=1)),
    finish_reason="stop",
    text="The answer is 5 \N{PARTY POPPER}",
    question=QUESTION,
    sampling=SAMPLING,
    timings=Timings(dispatched=1000.0, started=1001.5, finished=1002.25),
    deadline=1300.0,
    engine="hf",
)
EXAMPLES: tuple[msgspec.Struct, ...] = (
    PromptTicket(
        run_id="r1",
        group_id="r1:4",
        seq=4,
        prompt_id="p9",
        domain="mathematics",
        purpose=Purpose.ASSESS,
        samples=8,
        messages=({"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is 2 + 3?"}),
        question=QUESTION,
        sampling=SAMPLING,
        deadline=1300.0,
        dispatched_at=1000.0,
        min_version=3,
    ),
    ROLLOUT,
    ScoredTrajectory(
        rollout=ROLLOUT,
        score=None,
        status=Status.INFRA_ERROR,
        why="no process",
        route=Route.RTV,
        scorer="math",
        scorer_version="1",
        seconds=0.5,
        scored_at=1003.0,
        details={"uncovered": 0.25},
    ),
    GroupClosed(
        run_id="r1",
        group_id="r1:4",
        seq=4,
        purpose=Purpose.TRAIN,
        outcome=Outcome.TRAINED,
        reason="",
        lineage=1,
        ordinal=17,
        version=5,
        staleness=2,
        mean_score=0.5,
        closed_at=1010.0,
    ),
    LineageStarted(run_id="r1", lineage=1, version=4, ordinal=12, started_at=1005.0),
    PolicyVersion(
        run_id="r1", lineage=1, version=5, uri="/runs/r1/policy/5", sha256="ab" * 32, step=5, announced_at=1011.0
    ),
)


def golden_path(message: msgspec.Struct, version: int = SCHEMA_VERSION) -> Path:
    return GOLDEN / f"{type(message).__name__}.v{version}.msgpack"


def write_missing() -> list[Path]:
    missing = [(golden_path(message), message) for message in EXAMPLES if not golden_path(message).exists()]
    for path, message in missing:
        path.write_bytes(encode(message))
    return [path for path, _ in missing]


if __name__ == "__main__":
    for written in write_missing():
        print(written)
