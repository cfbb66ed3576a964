"""What every engine keeps of a LoRA adapter that the learner published. Inherited by one class an engine."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import DynamicCache

from infra.settings.learner import LoraSettings
from streams.messages import VersionSpan
from support.engine_contract import FIRST, SECOND, TOLERANCE, drain, generate, reference_logprobs, request
from trainer.weights.policy_io import load_policy
from trainer.weights.publish import Publisher
from workers.engines.base import Engine

LORA = LoraSettings(rank=3, alpha=6)
"""A rank that vLLM sets more memory aside for than it needs."""


def adapted(base: Path, seed: int) -> Any:
    """The learner's policy as if it had trained: B is no longer 0, and moves the distribution."""
    policy = load_policy(base, LORA)
    torch.manual_seed(seed)
    for name, parameter in policy.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    return policy


class AdapterContract:
    """A subclass gives the fixture `made`, an engine over `first_folder`, float32, that takes adapters."""

    @pytest.fixture(scope="class")
    def policies(self, first_folder: Path) -> list[Any]:
        return [adapted(first_folder, seed) for seed in (1, 2)]

    @pytest.fixture(scope="class")
    def folders(self, policies: list[Any], first_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
        where = tmp_path_factory.mktemp("adapters")
        publisher = Publisher(folder=where, template=first_folder, run_id="r", dtype=torch.float32, keep=2)
        return [Path(publisher.publish(policy, 1, 3 + number).uri) for number, policy in enumerate(policies)]

    def test_a_published_adapter_has_the_learners_logprobs(
        self, made: Engine, policies: list[Any], folders: list[Path]
    ) -> None:
        for policy, folder, version in zip(policies, folders, (FIRST, SECOND), strict=True):
            made.load_weights(folder, version)
            asked = request("g", samples=3, temperature=1.0, seed=5)
            for generation in generate(made, asked).values():
                expected = reference_logprobs(policy, asked.prompt_token_ids, generation.token_ids)
                assert torch.allclose(torch.tensor(generation.logprobs), expected, atol=TOLERANCE)
                assert generation.spans == (VersionSpan(1, version.version, len(generation.token_ids)),)

    def test_an_adapter_swapped_in_mid_flight_keeps_every_request(
        self, made: Engine, policies: list[Any], folders: list[Path]
    ) -> None:
        made.load_weights(folders[0], FIRST)
        asked = [request(f"g{i}", prompt=f"swap {i}", temperature=1.0, new=16, seed=i) for i in range(5)]
        for each in asked:
            made.submit(each)
        found = {(g.key, g.index): g for _ in range(5) for g in made.step()}
        made.load_weights(folders[1], SECOND)
        found |= drain(made)
        assert set(found) == {(each.key, 0) for each in asked}
        crossing = [each for each in asked if len(found[each.key, 0].spans) == 2]
        assert len(crossing) >= 3
        for each in crossing:
            generation, prompt = found[each.key, 0], each.prompt_token_ids
            count = generation.spans[0].tokens
            old, new = generation.token_ids[:count], generation.token_ids[count:]
            past = DynamicCache()
            with torch.inference_mode():
                policies[0](input_ids=torch.tensor([[*prompt, *old[:-1]]]), past_key_values=past, use_cache=True)
            before = reference_logprobs(policies[0], prompt, old)
            after = reference_logprobs(policies[1], (*prompt, *old), new, past=past)
            assert torch.allclose(torch.tensor(generation.logprobs), torch.cat([before, after]), atol=TOLERANCE)

    def test_what_is_no_version_of_the_adapter_keeps_the_old_one(
        self, made: Engine, folders: list[Path], first_folder: Path, tmp_path: Path
    ) -> None:
        made.load_weights(folders[0], FIRST)
        expected = generate(made, request("g"))["g", 0].token_ids
        other = load_policy(first_folder, LORA.model_copy(update={"rank": 2}))
        publisher = Publisher(folder=tmp_path, template=first_folder, run_id="r", dtype=torch.float32, keep=2)
        for folder in (Path(publisher.publish(other, 1, 9).uri), first_folder):
            with pytest.raises(ValueError, match=str(folder)):
                made.load_weights(folder, SECOND)
        assert made.weights == FIRST
        assert generate(made, request("g"))["g", 0].token_ids == expected
