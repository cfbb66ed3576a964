"""The loop's work in one process without streams: generate a batch, score it, train on it, again.

    python tests/bench/single_process.py SETTINGS_FILE TICKETS_FILE STEPS

The same engine, verifiers, judge and PPO step as the services use, called one after the other, each with all cores. The
engine batches a step's groups continuously, but has nothing to do while it waits for the longest of them. Prints one
JSON object a step to stdout: when it ended, seconds by phase, CPU seconds of the process so far, and tokens.
"""

import asyncio
import json
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import msgspec
import torch

from infra.settings.load import load
from infra.settings.tree import Settings
from streams.messages import PromptTicket, Question, Rollout, Route, ScoredTrajectory
from streams.route_headers import route_of
from trainer.step.batch import pack_batch
from trainer.step.trajectory import trajectory_of
from trainer.weights.build_models import build_ppo
from workers.engines.base import WeightVersion
from workers.engines.hf import HfEngine
from workers.judges.canary import canary_requests
from workers.judges.factory import build_judge
from workers.models.model_files import resolve_model
from workers.rollout.build_rollout import build_request, build_rollout
from workers.scoring.retrying import Outage
from workers.scoring.scorers import JudgeScorer, VerifierScorer
from workers.scoring.scoring_handler import enforce_must_finish
from workers.scoring.veto import VetoScorer
from workers.verifiers.base import Configured, Verdict
from workers.verifiers.registry import load_verifier, verifier_names


class DirectPool:
    """Verifiers in this process, without a guard against what they may do."""

    def __init__(self, settings: Settings) -> None:
        for name in verifier_names():
            verifier = load_verifier(name)
            if isinstance(verifier, Configured):
                verifier.configure(settings.rtv)

    async def verify(self, question: Question, response: str) -> Verdict:
        return load_verifier(question.verifier).verify(question, response)


class SingleProcess:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        folder = resolve_model(settings.model.path, settings.run.prepared)
        engine = settings.rollout.engine
        self.engine = HfEngine(
            folder, max_running=engine.max_running, max_model_tokens=engine.max_model_tokens, dtype=settings.model.dtype
        )
        pool = DirectPool(settings)
        judge = JudgeScorer(build_judge(settings.genrm, settings.run.prepared), settings.genrm, canary_requests)
        self.scorers = {
            Route.RTV: VerifierScorer(pool),
            Route.GENRM: VetoScorer(judge=judge, pool=pool, calibrated_share=settings.router.shadow_share),
        }
        self.ppo = build_ppo(settings, folder)
        self._load_weights(0)

    def step(self, tickets: Sequence[PromptTicket], version: int) -> dict[str, float]:
        """One step on these groups; seconds by phase."""
        clocks = [time.monotonic()]
        rollouts = self._generated(tickets)
        clocks.append(time.monotonic())
        scored = self._scored(rollouts)
        clocks.append(time.monotonic())
        groups = defaultdict(list)
        for each in sorted(scored, key=lambda each: (each.rollout.seq, each.rollout.index)):
            groups[each.rollout.seq].append(trajectory_of(each))
        batch = pack_batch(list(groups.values()), self.settings.learner.packed_row_tokens)
        self.ppo.step(batch, version, self.settings.run.seed)
        clocks.append(time.monotonic())
        self._load_weights(version + 1)
        clocks.append(time.monotonic())
        names = ("generate", "score", "train", "copy")
        seconds = {name: after - before for name, (before, after) in zip(names, pairwise(clocks), strict=True)}
        return seconds | {"targets": batch.targets, "groups": len(batch.groups)}

    def _generated(self, tickets: Sequence[PromptTicket]) -> list[Rollout]:
        prompts = {ticket.group_id: (ticket, self.engine.encode_chat(ticket.messages)) for ticket in tickets}
        for ticket, prompt in prompts.values():
            self.engine.submit(build_request(ticket, prompt))
        rollouts = []
        while self.engine.running:
            for generation in self.engine.step():
                text = self.engine.decode(generation.token_ids)
                rollouts.append(build_rollout(*prompts[generation.key], generation, text, self.engine.name))
        return rollouts

    def _scored(self, rollouts: Sequence[Rollout]) -> list[ScoredTrajectory]:
        found = []
        for route, scorer in self.scorers.items():
            own = [rollout for rollout in rollouts if route_of(rollout.question) is route]
            verdicts = asyncio.run(scorer.score(own)) if own else []
            found += [_scored(rollout, route, verdict) for rollout, verdict in zip(own, verdicts, strict=True)]
        return found

    def _load_weights(self, version: int) -> None:
        with torch.inference_mode():
            own = dict(self.engine._model.named_parameters())  # in memory, past the files of a version
            for name, weight in self.ppo.policy.named_parameters():
                own[name].copy_(weight)
        self.engine._weights = WeightVersion(0, version)


def _scored(rollout: Rollout, route: Route, verdict: Verdict | Outage) -> ScoredTrajectory:
    assert isinstance(verdict, Verdict), f"the judge does not answer: {verdict}"
    verdict = enforce_must_finish(rollout, verdict)
    return ScoredTrajectory(
        rollout=rollout,
        score=verdict.score,
        status=verdict.status,
        why=verdict.why,
        route=route,
        scorer=verdict.scorer,
        scorer_version=verdict.version,
        seconds=verdict.seconds,
        scored_at=time.time(),
    )


def main(settings_file: str, tickets_file: str, steps: str) -> None:
    settings = load(settings_file).settings
    tickets = msgspec.msgpack.decode(Path(tickets_file).read_bytes(), type=list[PromptTicket])
    size = settings.selector.admission.groups_per_step
    work = SingleProcess(settings)
    for version in range(int(steps)):
        done = work.step(tickets[version * size : (version + 1) * size], version)
        print(json.dumps(done | {"at": time.time(), "cpu": time.process_time()}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
