"""The settings of evaluations: how often each prompt is answered, and which skill a domain belongs to."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, field_validator

from infra.settings.section import NumberUnit, Seconds, SettingsSection


class Skill(StrEnum):
    """The skills by which results are reported (arXiv 2503.22230, section 4.1)."""

    LOGICAL_REASONING = "logical_reasoning"
    INSTRUCTION_FOLLOWING = "instruction_following"
    STEM = "stem"
    CODING = "coding"
    NLP = "nlp"
    KNOWLEDGE = "knowledge"
    CONTEXTUAL_UNDERSTANDING = "contextual_understanding"
    OUT_OF_DISTRIBUTION = "out_of_distribution"


SKILL_OF_DOMAIN: dict[str, Skill] = {
    "mathematics": Skill.STEM,
    "math": Skill.STEM,
    "science": Skill.STEM,
    "coding": Skill.CODING,
    "code": Skill.CODING,
    "instructions": Skill.INSTRUCTION_FOLLOWING,
    "logic": Skill.LOGICAL_REASONING,
    "puzzles": Skill.LOGICAL_REASONING,
    "knowledge": Skill.KNOWLEDGE,
    "writing": Skill.NLP,
}


class EvaluationSettings(SettingsSection):
    """The command `evaluate`, and the results that a report shows by skill."""

    samples: Annotated[int, Field(ge=1), NumberUnit("responses")] = 4
    """Responses per prompt, the k of avg@k. More prompts say more than more samples of one."""
    pass_at: Annotated[tuple[int, ...], NumberUnit("responses")] = (1, 4)
    """Values of k for which pass@k is reported; those above `samples` are left out, because no unbiased estimate exists
    for them. A response passes if its score is above 0.5."""
    deadline_seconds: Seconds = 3600.0
    """Age at which a group of the command `evaluate` expires. No other group waits for it, so only one whose rollouts
    are lost should come to its deadline; the prompt is then asked again by the next evaluation."""
    skills: dict[str, Skill] = {}
    """Skill of a domain's prompts, if the prompt itself names none (column `skill` of a dataset, or `--sets
    SKILL=FILE`), in addition to: mathematics, math, science = stem; coding, code = coding; instructions =
    instruction_following; logic, puzzles = logical_reasoning; knowledge = knowledge; writing = nlp. The prompts of any
    other domain count in that domain and overall, and in no skill."""

    @field_validator("pass_at")
    @classmethod
    def _responses(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if not value or min(value) < 1:
            raise ValueError("pass_at lists at least one k, each of 1 or more")
        return tuple(sorted(set(value)))

    def skill_of(self, domain: str) -> Skill | None:
        """The skill of a domain's prompts that name none themselves."""
        return self.skills.get(domain, SKILL_OF_DOMAIN.get(domain))
