import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.messages import rollout_of, ticket

from infra.page.models.tokens import strip_of
from streams.arrays import pack_logprobs, pack_tokens
from streams.messages import Segment, Source, VersionSpan


def rollout(segments, spans, finish_reason="stop"):
    import msgspec

    made = rollout_of(ticket(0), 0, text="x", prompt=[1], tokens=[2], logprobs=[-1.0])
    return msgspec.structs.replace(made, segments=tuple(segments), spans=tuple(spans), finish_reason=finish_reason)


def policy(ids):
    return Segment(source=Source.POLICY, token_ids=pack_tokens(ids), logprobs=pack_logprobs([-float(i) for i in ids]))


def other(source, ids):
    return Segment(source=source, token_ids=pack_tokens(ids))


def test_a_strip_has_every_token_with_its_maker_mask_and_version():
    made = rollout(
        [other(Source.PROMPT, [9]), policy([1, 2, 3]), other(Source.ENVIRONMENT, [8]), policy([4])],
        [VersionSpan(0, 5, 2), VersionSpan(0, 6, 2)],
    )
    strip = strip_of(made, lambda ids: [f"<{one}>" for one in ids], mask_cut_off=True)
    told = [(run.source, run.masked, run.version, list(run.ids), list(run.logprobs)) for run in strip.runs]
    assert told == [
        ("prompt", True, None, [9], []),
        ("policy", False, 5, [1, 2], [-1.0, -2.0]),
        ("policy", False, 6, [3], [-3.0]),
        ("environment", True, None, [8], []),
        ("policy", False, 6, [4], [-4.0]),
    ]
    assert strip.runs[1].texts == ["<1>", "<2>"]
    assert strip.masked_why == ""


@pytest.mark.parametrize(("mask", "masked"), [(True, True), (False, False)])
def test_a_response_that_was_cut_off_is_masked_if_the_learner_masks_it(mask, masked):
    strip = strip_of(rollout([policy([1])], [VersionSpan(0, 1, 1)], "length"), None, mask_cut_off=mask)
    assert [run.masked for run in strip.runs] == [masked]
    assert bool(strip.masked_why) == masked
    assert strip.runs[0].texts == []


@given(st.lists(st.lists(st.integers(0, 99), max_size=5), max_size=4), st.lists(st.integers(0, 4), max_size=6))
def test_no_token_is_lost_whatever_the_spans(segments, spans):
    made = rollout([policy(ids) for ids in segments], [VersionSpan(0, v, n) for v, n in enumerate(spans)])
    strip = strip_of(made, None, mask_cut_off=False)
    assert [one for run in strip.runs for one in run.ids] == [one for ids in segments for one in ids]
