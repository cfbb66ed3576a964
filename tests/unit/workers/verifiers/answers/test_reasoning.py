"""What of a response counts: what stands after the last reasoning block."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.verifiers.answers.reasoning import after_reasoning


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        ("7", "7"),
        ("  7\n", "7"),
        ("", ""),
        ("<think>1</think>7", "7"),
        ("<think>\n1\n</think>\n\n7\n", "7"),
        ("<THINK>1</THINK>7", "7"),
        ("<thinking>1</thinking>7", "7"),
        ("<thought>1</thought>7", "7"),
        ("<reasoning>1</reasoning>7", "7"),
        ("<scratchpad>1</scratchpad>7", "7"),
        ("<seed:think>1</seed:think>7", "7"),
        ('<think effort="high">1</think >7', "7"),
        ("< think >1< / think >7", "7"),
        ("[THINK]1[/THINK]7", "7"),
        ("◁think▷1◁/think▷7", "7"),
        ("<|begin_of_thought|>1<|end_of_thought|>7", "7"),
        ("<|START_THINKING|>1<|END_THINKING|>7", "7"),
        ("1</think>7", "7"),
        ("1</think>2</think>7", "7"),
        ("<think>1<think>2</think>3</think>7", "7"),
        ("<think>1</think>3<think>4</think>7", "7"),
        ("<think>I could write </think> here: 3. No.</think>7", "7"),
        ("<think>1</reasoning>7", "7"),
        ("7<think>1</think>", ""),
        ("<think>7", ""),
        ("7<think>wait", ""),
        ("<think>1</think>7<think>wait", ""),
        ("<think>1</think>", ""),
        ("</think>", ""),
        ("I think 7", "I think 7"),
        ("<answer>7</answer><reason>sum</reason>", "<answer>7</answer><reason>sum</reason>"),
        ("<thinker>7", "<thinker>7"),
        ("a < b, think > 7", "a < b, think > 7"),
    ],
)
def test_only_what_stands_after_the_last_block_counts(response, answer):
    assert after_reasoning(response) == answer


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        ("<|channel|>analysis<|message|>1<|end|><|start|>assistant<|channel|>final<|message|>7<|return|>", "7"),
        ("<|channel|>analysis<|message|>1<|end|><|start|>assistant<|channel|>final<|message|>7", "7"),
        ("<|channel|>final<|constrain|>json<|message|>7<|return|>", "7"),
        ("<|channel|>analysis<|message|>1<|end|>7", ""),
        ("<|channel|>analysis<|message|>7", ""),
        ("<|channel|>final<|message|>7<|end|><|start|>assistant<|channel|>analysis<|message|>8", ""),
        ("<|channel|>final<|message|>7<|end|><|channel|>final<|message|>8<|end|>", "8"),
        ("<|channel|>", ""),
        ("analysisWe add 3 and 4.assistantfinal7", "7"),
        ("analysis: 7", "analysis: 7"),
    ],
)
def test_only_the_final_channel_counts(response, answer):
    assert after_reasoning(response) == answer


@pytest.mark.parametrize(
    "response",
    [
        "<" + " " * 300_000,
        "<think" + " " * 300_000,
        "<think " * 100_000,
        "<|channel|>" + "a" * 300_000,
        "<|channel|>" * 50_000,
        "analysis" + "assistant" * 50_000,
    ],
)
def test_no_text_makes_the_search_quadratic(response):
    started = time.process_time()
    after_reasoning(response)
    assert time.process_time() - started < 20  # a quadratic search takes minutes


@given(
    st.lists(st.sampled_from(["<think>", "</think>", "[THINK]", "[/THINK]", "<reasoning>", "</reasoning>", "7", " "]))
)
def test_no_tag_is_left_and_the_answer_is_the_end(parts):
    response = "".join(parts)
    answer = after_reasoning(response)
    assert response.rstrip().endswith(answer)
    assert "<" not in answer
    assert "[" not in answer
