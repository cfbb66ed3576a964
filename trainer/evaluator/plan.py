"""What an evaluation has to generate: the prompts that lack scores under their digest, and how many.

Invariant: a prompt's sampling seed depends on the evaluation's seed, the prompt and how many scores it has, and not on
the order of dispatch. An evaluation that was cut short therefore draws the same responses again, however far it came.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from infra.db.models import Prompt
from infra.settings.evaluation import Skill
from infra.settings.tree import Settings
from streams.messages import Purpose, Question
from streams.route_headers import judgeable
from trainer.curriculum import evaluation, runs
from trainer.curriculum.dispatch import sampling_seed
from trainer.curriculum.measurement import MeasurementPlan
from trainer.curriculum.prompt_ids import PromptIds
from trainer.curriculum.prompt_pool import TicketPrompt, ticket_prompts
from trainer.evaluation.asked import Conditions, asked_digest
from trainer.evaluation.results import PromptScores
from trainer.evaluator.policy_files import PolicyFiles
from trainer.evaluator.stored import chunks, record_evaluation, stored_scores
from workers.judges.factory import judge_version
from workers.verifiers.registry import load_verifier

LABEL = "evaluate"
"""Label of the groups and results of a run that only evaluates."""


@dataclass(frozen=True, slots=True)
class PlannedPrompt:
    prompt_id: str
    domain: str
    skill: Skill | None
    asked: str
    """Digest of all that its scores depend on."""
    by_verifier: bool
    """Whether a verifier scores it, and not the judge."""
    stored: int
    """Number of scores under the digest."""
    max_new_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationPlan:
    policy: PolicyFiles
    samples: int
    """Responses per prompt."""
    seed: int
    prompts: tuple[PlannedPrompt, ...]
    unscorable: int
    """Prompts that are left out: nothing can score them, or they are quarantined."""

    phase = runs.EVALUATE
    purpose = Purpose.EVAL

    @property
    def lacking(self) -> list[PlannedPrompt]:
        return [prompt for prompt in self.prompts if prompt.stored < self.samples]

    @property
    def groups(self) -> int:
        return len(self.lacking)

    def measurements(self) -> list[MeasurementPlan]:
        """The groups to dispatch, by their size."""
        by_size: dict[int, list[PlannedPrompt]] = defaultdict(list)
        for prompt in self.lacking:
            by_size[self.samples - prompt.stored].append(prompt)
        return [
            MeasurementPlan(
                label=LABEL,
                purpose=Purpose.EVAL,
                samples=size,
                prompts=PromptIds.of(prompt.prompt_id for prompt in members),
                seeds={p.prompt_id: sampling_seed(self.seed, f"{p.prompt_id}/{p.stored}") for p in members},
            )
            for size, members in sorted(by_size.items(), reverse=True)
        ]

    def begin(self, connection: Connection, run_id: str) -> None:
        record_evaluation(connection, run_id, self)

    def settle(self, connection: Connection, run_id: str) -> None:
        """Nothing is done with single groups."""

    def finish(self, connection: Connection, run_id: str) -> None:
        """Writes the results over all of the plan's prompts, including scores of earlier evaluations."""
        evaluation.write_results(connection, run_id, LABEL, self.policy.version, results_of(connection, self))


def make_plan(
    connection: Connection, settings: Settings, policy: PolicyFiles, prompt_ids: Sequence[str]
) -> EvaluationPlan:
    """Raises ModelFilesError if the judge's model is not there, UnknownVerifierError."""
    ids = list(dict.fromkeys(prompt_ids))
    skills, prompts = _scorable_prompts(connection, ids)
    sampling = settings.rollout.sampling
    conditions = Conditions(
        weights=policy.digest,
        dtype=settings.model.dtype,
        engine=settings.rollout.engine.kind,
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        seed=settings.run.seed,
    )
    asks_judge = any(prompt.question.verifier is None for prompt in prompts)
    judge = judge_version(settings.genrm, settings.run.prepared) if asks_judge else ""
    longest = {
        prompt.id: sampling.max_new_tokens_by_domain.get(prompt.domain, sampling.max_new_tokens) for prompt in prompts
    }
    asked = {
        prompt.id: asked_digest(
            conditions,
            prompt.messages,
            prompt.question,
            longest[prompt.id],
            _scorer_of(prompt.question, judge),
        )
        for prompt in prompts
    }
    stored = stored_scores(connection, list(asked.values()))
    return EvaluationPlan(
        policy=policy,
        samples=settings.evaluation.samples,
        seed=settings.run.seed,
        prompts=tuple(
            PlannedPrompt(
                prompt_id=prompt.id,
                domain=prompt.domain,
                skill=skills[prompt.id] or settings.evaluation.skill_of(prompt.domain),
                asked=asked[prompt.id],
                by_verifier=prompt.question.verifier is not None,
                stored=len(stored.get(asked[prompt.id], ())),
                max_new_tokens=longest[prompt.id],
            )
            for prompt in prompts
        ),
        unscorable=len(ids) - len(prompts),
    )


def results_of(connection: Connection, plan: EvaluationPlan) -> list[PromptScores]:
    """The first `plan.samples` scores of each prompt that has that many, by prompt id."""
    scores = stored_scores(connection, [prompt.asked for prompt in plan.prompts])
    return [
        PromptScores(
            prompt_id=prompt.prompt_id,
            domain=prompt.domain,
            skill=prompt.skill,
            scores=tuple(one.score for one in scores[prompt.asked][: plan.samples]),
        )
        for prompt in sorted(plan.prompts, key=lambda prompt: prompt.prompt_id)
        if len(scores.get(prompt.asked, ())) >= plan.samples
    ]


def cut_off_share(connection: Connection, plan: EvaluationPlan) -> float | None:
    """The fraction of the responses that reached their token limit; None if there is no response."""
    scores = stored_scores(connection, [prompt.asked for prompt in plan.prompts])
    cut = [
        one.tokens >= prompt.max_new_tokens
        for prompt in plan.prompts
        for one in scores.get(prompt.asked, ())[: plan.samples]
    ]
    return sum(cut) / len(cut) if cut else None


def _scorable_prompts(connection: Connection, ids: Sequence[str]) -> tuple[dict[str, Skill | None], list[TicketPrompt]]:
    """The prompts that are not quarantined and can be scored, and the skill that each of them names itself."""
    skills: dict[str, Skill | None] = {}
    prompts: list[TicketPrompt] = []
    for chunk in chunks(ids):
        query = select(Prompt.id, Prompt.skill).where(Prompt.id.in_(chunk), Prompt.quarantined.is_(None))
        skills |= {row.id: None if row.skill is None else Skill(row.skill) for row in connection.execute(query)}
        found = ticket_prompts(connection, chunk)
        prompts += [prompt for prompt in found if prompt.id in skills and _is_scorable(prompt.question)]
    return skills, prompts


def _is_scorable(question: Question) -> bool:
    return question.verifier is not None or judgeable(question)


def _scorer_of(question: Question, judge: str) -> str:
    """Name and version of what scores the question; `judge` is the judge's version."""
    if question.verifier is not None:
        return f"{question.verifier}@{load_verifier(question.verifier).version}"
    return f"genrm@{judge}" + (f", {question.veto}@{load_verifier(question.veto).version}" if question.veto else "")
