"""No process of four holds half of the learner at start, publication, checkpoint and resume."""

from pathlib import Path

import pytest
from support.team_memory import BYTES_PER_WEIGHT, PHASES, peaks, save_wide_model
from support.tiny_model import save_tiny_model

pytestmark = pytest.mark.slow


@pytest.mark.timeout(400)
def test_no_process_of_four_holds_half_of_the_learner(tmp_path: Path) -> None:
    weights = save_wide_model(tmp_path / "model", hidden=384, layers=4)
    whole = 2 * weights * BYTES_PER_WEIGHT  # policy and value model
    found = peaks(4, tmp_path / "model", save_tiny_model(tmp_path / "small", seed=0), tmp_path)
    assert [set(each) for each in found] == [set(PHASES)] * 4
    shares = {phase: max(each[phase] for each in found) / whole for phase in PHASES}
    assert shares["step"] > 0.2, "the measure sees the weights"
    assert max(share for phase, share in shares.items() if phase != "step") < 0.5, shares
