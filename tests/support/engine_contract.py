"""What every engine keeps, against plain forward passes of the same model. Inherited by one class an engine."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, DynamicCache

from streams.messages import Sampling, VersionSpan
from support.tiny_model import CONTEXT, END
from workers.engines.base import Engine, Generation, GenerationRequest, WeightVersion

MAX_RUNNING = 8
FIRST = WeightVersion(1, 3)
SECOND = WeightVersion(1, 4)
TOLERANCE = 2e-4
"""float32 sums in another order, through two layers and a log-softmax."""


def request(
    key: str, *, prompt: str = "abc", samples: int = 1, temperature: float = 0.0, **kwargs: Any
) -> GenerationRequest:
    sampling = Sampling(temperature=temperature, max_new_tokens=kwargs.pop("new", 12), **kwargs)
    return GenerationRequest(key, tuple(b + 3 for b in prompt.encode()), samples, sampling)


def drain(engine: Engine) -> dict[tuple[str, int], Generation]:
    found: dict[tuple[str, int], Generation] = {}
    while engine.running:
        for generation in engine.step():
            assert (generation.key, generation.index) not in found
            found[generation.key, generation.index] = generation
    return found


def generate(engine: Engine, *requests: GenerationRequest) -> dict[tuple[str, int], Generation]:
    for each in requests:
        engine.submit(each)
    return drain(engine)


def reference_logprobs(
    model: Any,
    prompt: Sequence[int],
    tokens: Sequence[int],
    *,
    temperature: float = 1.0,
    past: DynamicCache | None = None,
) -> torch.Tensor:
    """The log-prob of each of `tokens` after `prompt` (whose last token is not yet in `past`; all before it are)."""
    seen = past.get_seq_length() if past else 0
    ids = torch.tensor([[*prompt, *tokens][seen:]])
    with torch.inference_mode():
        logits = model(input_ids=ids, past_key_values=past, use_cache=past is not None).logits[0].float()
    logprobs = (logits[len(prompt) - seen - 1 : -1] / temperature).log_softmax(-1)
    return logprobs.gather(-1, torch.tensor(tokens)[:, None])[:, 0]


class EngineContract:
    """A subclass gives the fixture `made`, an engine over `first_folder`, float32, MAX_RUNNING at once."""

    @pytest.fixture(scope="class")
    def first(self, first_folder: Path) -> Any:
        return AutoModelForCausalLM.from_pretrained(first_folder, dtype=torch.float32).eval()

    @pytest.fixture(scope="class")
    def second(self, second_folder: Path) -> Any:
        return AutoModelForCausalLM.from_pretrained(second_folder, dtype=torch.float32).eval()

    @pytest.fixture
    def engine(self, made: Engine, first_folder: Path) -> Engine:
        """The shared engine, back on its first weights."""
        if made.weights != FIRST:
            made.load_weights(first_folder, FIRST)
        assert made.running == 0
        return made

    @pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.7, 1.0), (0.0, 1.0)])
    def test_logprobs_are_of_the_sampled_distribution(
        self, engine: Engine, first: Any, temperature: float, top_p: float
    ) -> None:
        asked = request("g", samples=3, temperature=temperature, top_p=top_p, seed=5)
        for generation in generate(engine, asked).values():
            expected = reference_logprobs(
                first, asked.prompt_token_ids, generation.token_ids, temperature=temperature or 1.0
            )
            assert torch.allclose(torch.tensor(generation.logprobs), expected, atol=TOLERANCE)

    def test_nucleus_logprobs_are_renormalised(self, engine: Engine, first: Any) -> None:
        asked = request("g", samples=4, temperature=1.0, top_p=0.6, seed=1)
        for generation in generate(engine, asked).values():
            ids = torch.tensor([[*asked.prompt_token_ids, *generation.token_ids]])
            with torch.inference_mode():
                logits = first(input_ids=ids).logits[0, len(asked.prompt_token_ids) - 1 : -1].float()
            for row, token, logprob in zip(logits.softmax(-1), generation.token_ids, generation.logprobs, strict=True):
                ordered, order = row.sort(descending=True)
                size = int((ordered.cumsum(0) - ordered < 0.6).sum())
                assert token in order[:size]
                assert logprob == pytest.approx(float((row[token] / ordered[:size].sum()).log()), abs=TOLERANCE)

    def test_greedy_is_what_transformers_generates(self, engine: Engine, first: Any) -> None:
        asked = [request(f"g{i}", prompt=f"prompt {'x' * i}", new=20) for i in range(4)]
        found = generate(engine, *asked)
        for each in asked:
            ids = torch.tensor([each.prompt_token_ids])
            expected = first.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=20, do_sample=False)
            assert list(found[each.key, 0].token_ids) == expected[0, ids.shape[1] :].tolist()

    def test_a_generation_stops_at_the_end_token_or_at_its_length(self, engine: Engine) -> None:
        found = generate(engine, request("g", samples=48, temperature=1.5, new=40, seed=2))
        reasons = {generation.finish_reason for generation in found.values()}
        assert reasons == {"stop", "length"}  # both happen among so many samples of so many tokens
        for generation in found.values():
            stopped = generation.finish_reason == "stop"
            assert stopped == (generation.token_ids[-1] == END)
            assert END not in generation.token_ids[:-1]
            assert stopped or len(generation.token_ids) == 40
            assert len(generation.logprobs) == len(generation.token_ids)
            assert generation.started <= generation.finished

    def test_more_requests_than_fit_all_come_back(self, engine: Engine) -> None:
        asked = [request(f"g{i}", prompt="ab" * (i + 1), samples=3, temperature=1.0, seed=i) for i in range(7)]
        asked.append(request("large", samples=2 * MAX_RUNNING + 1, temperature=1.0))
        for each in asked:
            engine.submit(each)
        assert engine.running == 21 + 17
        assert set(drain(engine)) == {(each.key, index) for each in asked for index in range(each.samples)}

    def test_samples_of_a_request_differ(self, engine: Engine) -> None:
        found = generate(engine, request("g", samples=6, temperature=1.0))
        assert len({generation.token_ids for generation in found.values()}) == 6

    def test_a_request_that_joins_changes_no_other(self, engine: Engine) -> None:
        alone = generate(engine, request("a", new=30))["a", 0]
        engine.submit(request("a", new=30))
        found = {(g.key, g.index): g for _ in range(5) for g in engine.step()}
        for i in range(6):
            engine.submit(request(f"b{i}", prompt="later " * (i + 1), new=4 + i))
        found |= drain(engine)
        assert found["a", 0].token_ids == alone.token_ids
        assert set(found) == {("a", 0), *((f"b{i}", 0) for i in range(6))}

    def test_requests_that_leave_change_no_other(self, engine: Engine, first: Any) -> None:
        asked = [
            request(f"g{i}", prompt="leave " * (1 + i % 3), temperature=1.0, new=2 + 5 * i, seed=i)
            for i in range(2 * MAX_RUNNING)
        ]
        found = generate(engine, *asked)
        for each in asked:
            generation = found[each.key, 0]
            expected = reference_logprobs(first, each.prompt_token_ids, generation.token_ids)
            assert torch.allclose(torch.tensor(generation.logprobs), expected, atol=TOLERANCE)

    def test_a_request_that_is_aborted_does_not_come_back_and_changes_no_other(
        self, engine: Engine, first: Any
    ) -> None:
        asked = [
            request(f"g{i}", prompt="abort " * (1 + i % 3), samples=2, temperature=1.0, new=24, seed=i)
            for i in range(MAX_RUNNING)
        ]
        for each in asked:
            engine.submit(each)
        found = {(g.key, g.index): g for _ in range(3) for g in engine.step()}
        gone = [asked[0].key, asked[2].key, asked[-1].key]  # the last one is still queued
        dropped = {key: engine.abort(key) for key in gone}
        assert dropped == {key: 2 - sum(1 for done, _ in found if done == key) for key in gone}
        assert engine.abort(gone[0]) == engine.abort("never asked") == 0
        later = drain(engine)
        assert not {key for key, _ in later} & set(gone)
        found |= later
        for each in asked:
            if each.key not in gone:
                for index in range(2):
                    generation = found[each.key, index]
                    expected = reference_logprobs(first, each.prompt_token_ids, generation.token_ids)
                    assert torch.allclose(torch.tensor(generation.logprobs), expected, atol=TOLERANCE)

    def test_a_swap_in_mid_flight_keeps_every_request_and_splits_its_span(
        self, engine: Engine, first: Any, second: Any, second_folder: Path
    ) -> None:
        asked = [request(f"g{i}", prompt=f"swap {i}", samples=2, temperature=1.0, new=16, seed=i) for i in range(3)]
        for each in asked:
            engine.submit(each)
        found = {(g.key, g.index): g for _ in range(5) for g in engine.step()}
        engine.load_weights(second_folder, SECOND)
        assert engine.weights == SECOND
        found |= drain(engine)
        assert set(found) == {(each.key, index) for each in asked for index in range(2)}
        crossed = 0
        for each in asked:
            for generation in (found[each.key, 0], found[each.key, 1]):
                assert sum(span.tokens for span in generation.spans) == len(generation.token_ids)
                if len(generation.spans) == 2:
                    self._check_crossing(each, generation, first, second)
                    crossed += 1
        assert crossed >= 3

    def _check_crossing(self, asked: GenerationRequest, generation: Generation, first: Any, second: Any) -> None:
        before, after = generation.spans
        assert (before.lineage, before.version, after.lineage, after.version) == (1, 3, 1, 4)
        prompt, old, new = (
            asked.prompt_token_ids,
            generation.token_ids[: before.tokens],
            generation.token_ids[before.tokens :],
        )
        past = DynamicCache()
        with torch.inference_mode():
            first(input_ids=torch.tensor([[*prompt, *old[:-1]]]), past_key_values=past, use_cache=True)
        expected = torch.cat(
            [reference_logprobs(first, prompt, old), reference_logprobs(second, (*prompt, *old), new, past=past)]
        )
        assert torch.allclose(torch.tensor(generation.logprobs), expected, atol=TOLERANCE)

    def test_after_a_swap_the_same_prompt_is_computed_anew(
        self, engine: Engine, second: Any, second_folder: Path
    ) -> None:
        long = "the same long prompt " * 5  # spans whole blocks of a prefix cache
        generate(engine, request("a", prompt=long))
        engine.load_weights(second_folder, SECOND)
        asked = request("b", prompt=long)
        generation = generate(engine, asked)["b", 0]
        assert generation.spans == (VersionSpan(1, 4, len(generation.token_ids)),)
        expected = reference_logprobs(second, asked.prompt_token_ids, generation.token_ids)
        assert torch.allclose(torch.tensor(generation.logprobs), expected, atol=TOLERANCE)

    def test_a_folder_that_does_not_load_keeps_the_old_weights(
        self, engine: Engine, tmp_path: Path, odd_folder: Path
    ) -> None:
        expected = generate(engine, request("g"))["g", 0].token_ids
        for folder in (tmp_path / "missing", odd_folder):
            with pytest.raises((OSError, ValueError), match=str(folder)):
                engine.load_weights(folder, SECOND)
        assert engine.weights == FIRST
        assert generate(engine, request("g"))["g", 0].token_ids == expected

    def test_a_request_that_cannot_fit_is_refused(self, engine: Engine) -> None:
        with pytest.raises(ValueError, match="max_model_tokens"):
            engine.submit(request("g", prompt="x" * (CONTEXT - 11), new=12))
        with pytest.raises(ValueError, match="at least one"):
            engine.submit(request("g", samples=0))
        assert engine.running == 0
        whole = generate(engine, request("g", prompt="x" * (CONTEXT - 12), new=12))
        assert len(whole) == 1

    def test_the_seed_decides(self, engine: Engine) -> None:
        def tokens(seed: int) -> list[tuple[int, ...]]:
            found = generate(engine, request("g", samples=4, temperature=1.0, seed=seed))
            return [found["g", index].token_ids for index in range(4)]

        assert tokens(7) == tokens(7)
        assert tokens(7) != tokens(8)

    def test_chat_and_text(self, engine: Engine) -> None:
        ids = engine.encode_chat(({"role": "user", "content": "Hi é"},))
        assert ids[0] == 1
        assert END in ids
        assert engine.decode(ids).startswith("user: Hi é")
