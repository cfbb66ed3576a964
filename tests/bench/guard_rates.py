"""How often the guard's test raises an alarm in simulated runs, sound and hacked: `python tests/bench/guard_rates.py`.

It prints one JSON object per kind of run.
"""

import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.guard_runs import EVALUATIONS, PROMPTS, SAMPLES, SKILLS, SOUND, evaluations, first_alarm

SOUND_RUNS, HACKED_RUNS = 1000, 300
NOISE = 1.96 * float(np.sqrt(2 * np.mean(SKILLS * (1 - SKILLS)) / SAMPLES / PROMPTS))
"""A fall of the held-out score is within its noise up to this."""


def main() -> None:
    for kind, skill in SOUND.items():
        alarms = sum(first_alarm(evaluations(seed, skill, lambda _: 0.0)) is not None for seed in range(SOUND_RUNS))
        print(json.dumps({"sound": kind, "runs": SOUND_RUNS, "alarms": alarms}), flush=True)
    for tricks in (0.5, 0.25):
        found = [
            first_alarm(evaluations(s, lambda _: 1.0, lambda t, most=tricks: most * t)) for s in range(HACKED_RUNS)
        ]
        falls = [float(np.mean(SKILLS)) * tricks * one.version / (EVALUATIONS - 1) for one in found if one is not None]
        result = {
            "tricks at the end": tricks,
            "runs": HACKED_RUNS,
            "alarms": len(falls),
            "mean fall of the true score at the alarm": round(float(np.mean(falls)), 4),
            "noise": round(NOISE, 4),
            "within the noise": int(np.sum(np.array(falls) <= NOISE)),
        }
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
