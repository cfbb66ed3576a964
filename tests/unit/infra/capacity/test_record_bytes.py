"""Bytes in the log, by formula and by encoding the messages of a group."""

import pytest
from support.messages import closed, rollout_of, ticket, verdict

from infra.capacity.hardware import Assumptions
from infra.capacity.log_bytes import group_records, largest_record
from infra.capacity.rows import row_sizes
from infra.settings.tree import Settings
from streams.codec import encode, headers_of
from streams.messages import Outcome, Question, Sampling, VersionSpan
from streams.route_headers import route_headers

RUN, SAMPLES = "run-20261201-120000", 16
"""A run's id as `run_folder` makes them."""
NOW = 1.7e9


def asked_of(prompt_tokens):
    question = Question(prompt="w" * 4 * prompt_tokens, verifier="math", ground_truth="7" * 200)
    return ticket(
        123_456,
        run_id=RUN,
        prompt_id="a" * 64,
        samples=SAMPLES,
        messages=({"role": "user", "content": question.prompt},),
        question=question,
        sampling=Sampling(temperature=1.0, max_new_tokens=16_384, seed=2**40),
        deadline=NOW,
        dispatched_at=NOW,
    )


def record_bytes(message, key, **headers):
    sent = headers_of(message, **headers)
    return len(encode(message)) + len(key) + sum(len(name) + len(value) for name, value in sent)


def response_bytes(asked, prompt_tokens, tokens):
    made = rollout_of(
        asked,
        12,
        prompt=[1] * prompt_tokens,
        tokens=[1] * tokens,
        spans=[VersionSpan(1, 1000, tokens // 2), VersionSpan(1, 1001, tokens - tokens // 2)],
        text="z" * 4 * tokens,
        engine="vllm",
    )
    scored = verdict(made, 1.0, why="equal as numbers: 42", details={"answer": "42"}, scorer_version="1.2")
    key = asked.group_id
    return record_bytes(made, key, **route_headers(made.question)), record_bytes(scored, key)


@pytest.mark.parametrize(("prompt", "response"), [(32, 8), (64, 256), (256, 8192)])
def test_a_groups_records_are_the_planned_bytes(prompt, response):
    assumptions = Assumptions(prompt_tokens=prompt, response_tokens=response, judged_share=0.25)
    rows = row_sizes(Settings(rollout={"sampling": {"max_new_tokens": 2 * response}}), assumptions)
    planned = group_records(rows, SAMPLES, assumptions)
    asked = asked_of(prompt)
    made, scored = response_bytes(asked, prompt, response)
    closing = closed(123_456, 98_765, Outcome.TRAINED, run_id=RUN, closed_at=NOW, mean_score=0.5, staleness=1)
    within = {"rel": 0.15}
    assert planned.prompts == pytest.approx(record_bytes(asked, asked.group_id), **within)
    assert planned.rollouts == pytest.approx(SAMPLES * made, **within)
    assert planned.rtv_requests == pytest.approx(0.75 * SAMPLES * made, **within)
    assert planned.genrm_requests == pytest.approx(0.25 * SAMPLES * made, **within)
    assert planned.scored == pytest.approx(SAMPLES * scored, **within)
    assert planned.groups_closed == pytest.approx(record_bytes(closing, asked.group_id), **within)
    assert planned.total == sum(getattr(planned, topic) for topic in planned.__dataclass_fields__)
    assert largest_record(rows, assumptions) == pytest.approx(response_bytes(asked, prompt, 2 * response)[1], **within)
