"""What a scorer expected, by which rule it decides, and what a group's ending means, in words. Pure.

Invariant: each is one sentence or a value, the same on the command line and on the page.
"""

import json

from infra.advice.story import GroupStory
from infra.settings.tree import Settings
from streams.messages import Question
from workers.verifiers.registry import UnknownVerifierError, load_verifier


def expected_of(question: Question) -> str:
    """What a right response contains, as the scorer was told; `-` if it was told nothing."""
    if question.ground_truth is not None:
        return question.ground_truth
    if question.references:
        return f"as good as: {question.references[0]}"
    return f"options {json.dumps(question.options)}" if question.options else "-"


def rule_of(question: Question) -> str:
    """The rule by which the prompt's scorer decides."""
    if question.verifier is None:
        veto = f"; the verifier {question.veto} may veto" if question.veto else ""
        return f"genrm: the judge compares YES with NO{veto} (`rewardstream score --list`)"
    try:
        return f"{question.verifier}: {load_verifier(question.verifier).policy}"
    except UnknownVerifierError:
        return f"{question.verifier}, which is not installed here"


def meaning_of(story: GroupStory, settings: Settings) -> str:
    """What the ending of a closed group means; that it is open, if it is."""
    if story.outcome is None:
        return "it is open: not every response is scored and taken by the learner"
    if story.outcome == "trained":
        where = f"trained on in the step that made version {story.closed_version}, {story.staleness} versions old"
        if story.step is None:
            return f"{where}; the step's line is not in steps.jsonl"
        step = story.step
        return (
            f"{where}: {step.groups} groups, mean reward {step.reward:.3f}, policy loss {step.policy_loss:.4f}, "
            f"gradient norm {step.policy_gradient_norm:.3g}"
        )
    limit = settings.learner.zero_variance_std
    meanings = {
        "zero_variance": f"not trained on: all scores are alike (spread below learner.zero_variance_std {limit:g})",
        "cut_off": "not trained on: every response was cut off and so carries no loss (learner.overlong.mask)",
        "measured": "a measurement, never trained on",
        "expired": "not trained on: it was incomplete at its deadline (selector.admission.deadline_seconds)",
        "stale": "not trained on: older than learner.max_staleness",
        "failed": "not trained on: a response has no score; its verdict says why",
    }
    return meanings.get(story.reason or "", meanings.get(story.outcome, "not trained on"))
