"""SFT: loss on responses only, packed as if apart, and a model that learns what it is shown."""

import itertools
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support.tiny_model import save_tiny_model
from torch.nn import functional

from streams.messages import Sampling
from trainer.step.language_models import load_causal_lm
from trainer.supervised.fit import FitSettings, LabelledRow, fit, logits_at, schedule
from trainer.supervised.sft import ExamplesError, SFTExample, SftSettings, read_examples, run_sft, sft_step
from workers.engines.base import GenerationRequest
from workers.engines.hf import HfEngine
from workers.models.chat import encode_answer, encode_chat, load_tokenizer
from workers.models.shared_prefix import PrefixGroup

EXAMPLES = [
    SFTExample(({"role": "user", "content": question},), answer)
    for question, answer in (("a?", "one"), ("b?", "two"), ("c?", "three"))
]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("tiny"), seed=3)


def groups(folder: Path) -> list[PrefixGroup]:
    tokenizer = load_tokenizer(folder)
    return [
        PrefixGroup(encode_chat(tokenizer, one.messages), [encode_answer(tokenizer, one.response)]) for one in EXAMPLES
    ]


def test_loss_is_over_the_response_and_its_end_token(tiny: Path) -> None:
    found = groups(tiny)
    [row] = sft_step(found)
    expected = [token for group in found for token in group.suffixes[0]]
    assert row.targets == expected
    assert expected[-1] == load_tokenizer(tiny).eos_token_id
    assert len(row.positions) == len(row.targets)


def test_packed_loss_equals_that_of_separate_sequences(tiny: Path) -> None:
    model = load_causal_lm(tiny)
    [row] = sft_step(groups(tiny))
    with torch.inference_mode():
        packed = functional.cross_entropy(logits_at(model, row.row, row.positions), torch.tensor(row.targets))
        apart = []
        for group in groups(tiny):
            ids = torch.tensor([[*group.prefix, *group.suffixes[0]]])
            logits = model(input_ids=ids).logits[0, len(group.prefix) - 1 : -1]
            apart.append(functional.cross_entropy(logits, torch.tensor(list(group.suffixes[0])), reduction="none"))
    assert packed.item() == pytest.approx(torch.cat(apart).mean().item(), abs=1e-4)


def test_rows_of_a_step_add_up_to_the_gradient_of_one(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In float64: Adam's first steps are the learning rate for any gradient, also where it is rounding alone."""
    settings = FitSettings(steps=2, learning_rate=1e-3, autocast=False)
    fitted = []
    for budget, count in ((1, len(EXAMPLES)), (1024, 1)):
        monkeypatch.setattr("trainer.supervised.sft.ROW_TOKENS", budget)
        plain = sft_step(groups(tiny))
        uneven = [replace(row, weights=[1.0 + token % 3 for token in row.targets]) for row in plain]
        assert len(plain) == count
        model = load_causal_lm(tiny).double()
        losses = fit(model, [plain, uneven], settings)
        fitted.append((losses, [parameter.detach() for parameter in model.parameters()]))
    torch.testing.assert_close(*fitted, rtol=0, atol=1e-6)


def test_the_tuned_model_answers_as_its_examples(tiny: Path, tmp_path: Path) -> None:
    settings = SftSettings(fit=FitSettings(steps=60, learning_rate=3e-3, autocast=False), batch=3)
    report = run_sft(tiny, EXAMPLES, tmp_path / "out", settings)
    assert report.last_loss < 0.1 < report.first_loss
    engine = HfEngine(tmp_path / "out", max_running=4, max_model_tokens=64, dtype="float32")
    for one in EXAMPLES:
        prompt = engine.encode_chat(one.messages)
        engine.submit(GenerationRequest(one.response, prompt, 1, Sampling(temperature=0, max_new_tokens=12)))
    found = []
    while engine.running:
        found += engine.step()
    assert {engine.decode(one.token_ids) for one in found} == {one.response for one in EXAMPLES}
    assert all(engine.decode(one.token_ids) == one.key for one in found)


def test_masters_are_saved_in_float32_and_the_same_twice(tiny: Path, tmp_path: Path) -> None:
    settings = SftSettings(fit=FitSettings(steps=2, learning_rate=1e-3), batch=2, seed=5)
    folders = [tmp_path / name for name in ("first", "second")]
    for folder in folders:
        run_sft(tiny, EXAMPLES, folder, settings)
    first, second = (load_causal_lm(folder).state_dict() for folder in folders)
    assert all(tensor.dtype == torch.float32 for tensor in first.values())
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert json.loads((folders[0] / "config.json").read_text())["dtype"] == "float32"


def test_each_epoch_shows_every_example_once(tiny: Path) -> None:
    from trainer.supervised.sft import _batches

    found = groups(tiny)
    batches = _batches(found, SftSettings(fit=FitSettings(steps=6, learning_rate=1e-3), batch=1))
    shown = [tuple(group.suffixes[0]) for [group] in batches]
    assert set(shown[:3]) == set(shown[3:]) == {tuple(group.suffixes[0]) for group in found}


def test_no_examples_is_an_error(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(ExamplesError, match="no examples"):
        run_sft(tiny, [], tmp_path / "out")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("9" * 5000, "not JSON"),
        ("[1]", "expected an object"),
        ('{"prompt": "a"}', "'response' must be text"),
        ('{"prompt": "a", "response": "  "}', "'response' must be text"),
        ('{"response": "b"}', "give 'prompt'"),
        ('{"messages": [], "response": "b"}', "give 'prompt'"),
        ('{"messages": [{"role": "user"}], "response": "b"}', "give 'prompt'"),
    ],
)
def test_a_bad_example_is_named_by_its_line(tmp_path: Path, line: str, reason: str) -> None:
    path = tmp_path / "examples.jsonl"
    path.write_text('{"prompt": "x", "response": "y"}\n\n' + line + "\n")
    with pytest.raises(ExamplesError, match=f"examples.jsonl:3: .*{reason}"):
        read_examples(path)


def test_examples_are_read_from_prompts_and_messages(tmp_path: Path) -> None:
    path = tmp_path / "examples.jsonl"
    turns = [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]
    rows = [{"prompt": "p", "response": "a\u2028b\x85c"}, {"messages": turns, "response": "q"}]
    path.write_bytes("\r\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode())
    assert read_examples(path) == [
        SFTExample(({"role": "user", "content": "p"},), "a\u2028b\x85c"),
        SFTExample(tuple(turns), "q"),
    ]


def test_a_file_without_examples_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "empty.jsonl"
    path.write_text("\n")
    with pytest.raises(ExamplesError, match="holds no example"):
        read_examples(path)


def test_learning_rate_warms_up_and_falls_to_its_final_share() -> None:
    settings = FitSettings(steps=100, learning_rate=1.0, warmup_steps=4, final_share=0.2)
    shares = [schedule(step, settings) for step in range(101)]
    assert shares[0] == pytest.approx(0.25, abs=0.01)
    assert shares.index(max(shares)) in (3, 4)
    assert all(a >= b for a, b in itertools.pairwise(shares[4:]))
    assert shares[100] == pytest.approx(0.2)


def test_weights_make_a_soft_label(tiny: Path) -> None:
    """The gradient of a position given twice pushes towards the mixture: its optimum predicts 0.75 and 0.25."""
    model = load_causal_lm(tiny)
    row = sft_step(groups(tiny))[0].row
    fit(
        model,
        [[LabelledRow(row, [3, 3], [40, 41], [0.75, 0.25])]] * 80,
        FitSettings(steps=80, learning_rate=3e-3, autocast=False),
    )
    with torch.inference_mode():
        probabilities = logits_at(model, row, [3]).softmax(-1)[0]
    assert probabilities[40].item() == pytest.approx(0.75, abs=0.05)
    assert probabilities[41].item() == pytest.approx(0.25, abs=0.05)


def test_a_loss_that_is_not_finite_stops_the_fit(tiny: Path) -> None:
    model = load_causal_lm(tiny)
    with torch.no_grad():
        model.get_output_embeddings().weight.fill_(float("nan"))
    with pytest.raises(FloatingPointError, match="step 1"):
        fit(model, [sft_step(groups(tiny))], FitSettings(steps=1, learning_rate=1e-3))


def test_only_the_upper_share_of_layers_moves_where_asked(tiny: Path) -> None:
    model = load_causal_lm(tiny)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    settings = FitSettings(steps=2, learning_rate=1e-2, upper_share=0.5)
    fit(model, [sft_step(groups(tiny))] * 2, settings)
    moved = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert moved
    assert all(name.startswith(("model.layers.1.", "model.norm.")) for name in moved)
    with pytest.raises(ValueError, match="upper_share = 0"):
        fit(load_causal_lm(tiny), [], FitSettings(steps=0, learning_rate=1e-2, upper_share=0))
