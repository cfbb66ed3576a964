"""What the benchmark of the learner's FLOP/s counts, against torch's own count of what ran."""

import pytest
from bench.flops import PEAKS, peak_of, training_flops
from support.trajectories import trajectory
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoConfig, AutoModelForCausalLM

from trainer.step.batch import pack_batch
from trainer.step.language_models import load_causal_lm, policy_forward

SHORT = [[trajectory([5, 6, 7], [8, 9], score=1.0), trajectory([5, 6, 7], [10, 11, 12, 13], score=0.0)]]
LONG = [[trajectory([5] * 40, [8] * length, score=1.0) for length in (200, 100, 220)], *SHORT]


@pytest.mark.parametrize("members", [SHORT, LONG], ids=["one block", "several rows and blocks"])
@pytest.mark.parametrize("head_width", [None, 48])
def test_a_step_is_counted_as_torch_counts_it(tiny_policy_folder, tmp_path, members, head_width):
    """But for the angles of the rotations, a product of positions and half a head's width, which count as nothing here.
    sdpa's own kernels are opaque to torch's count, its plain form is not.
    """
    config = AutoConfig.from_pretrained(tiny_policy_folder)
    if head_width:
        config.head_dim = head_width
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    model, rows = load_causal_lm(tmp_path), pack_batch(members, 300).rows
    with FlopCounterMode(display=False) as counted, sdpa_kernel(SDPBackend.MATH):
        for row in rows:
            policy_forward(model, row).logprobs_N.sum().backward()
    angles = sum(2 * len(row.packed.input_ids) * (model.config.head_dim // 2) for row in rows)
    assert training_flops(config, rows) == counted.get_total_flops() - angles


def test_more_tokens_and_more_targets_cost_more(tiny_policy_folder):
    config = AutoConfig.from_pretrained(tiny_policy_folder)
    few, many = (training_flops(config, pack_batch(members, 300).rows) for members in (SHORT, LONG))
    assert 0 < few < many


@pytest.mark.parametrize(
    ("card", "peak"),
    [
        ("NVIDIA H100 80GB HBM3", PEAKS["NVIDIA H100 80GB HBM3"]),
        ("NVIDIA H200 NVL", PEAKS["NVIDIA H200 NVL"]),
        ("NVIDIA H200", PEAKS["NVIDIA H200"]),
        ("NVIDIA A100-SXM4-80GB", PEAKS["NVIDIA A100"]),
        ("NVIDIA A100 80GB PCIe", PEAKS["NVIDIA A100"]),
        ("NVIDIA L4", PEAKS["NVIDIA L4"]),
        ("NVIDIA L40", None),
        ("NVIDIA A100-SXM4-80GB MIG 1g.10gb", None),
        ("NVIDIA H100", None),
    ],
)
def test_a_card_has_a_peak_only_where_its_name_is_known(card, peak):
    assert peak_of(card) == peak
