"""Triples (question with reference, candidate, how right it is) that the judge is fitted on and measured with.

Invariant: the triples are balanced in form. Right and wrong candidates draw case, full stop, quotes and article from
the same distribution, so none of these tells them apart: a policy would exploit a judge that goes by form. Features
that a right answer never has (lead-ins, hedges, echoes, phrases) occur only in wrong ones. A phrase that measures a
judge is in no triple that one is fitted on (`trainer.reward_models.hard_negatives`).
"""

import random
from collections.abc import Mapping, Sequence

from infra.demo.generate import Sample
from infra.demo.measure import rate
from infra.demo.passages import Passage
from infra.demo.tasks import DemoTask, reading
from streams.messages import Question
from trainer.reward_models.hard_negatives import TRAINED_PHRASES, echo_of, vary_answer, vary_full_stop
from trainer.supervised.genrm import Triple, TripleGroup
from workers.verifiers.text.sentence import CONNECTIVES

CANDIDATES = 8
"""Candidates per group; the candidates of a group share question and reference."""
_RIGHT = 3
_OWN = 3
"""Largest number of the policy's own wrong answers per group: the judge will see such answers in the run."""
_SPOILED = 2
"""Spoiled copies per group of writing."""
_SLOPE = 1.5
"""Slope of a writing label in the difference of rubric scores."""


def reading_groups(
    passages: Sequence[Passage],
    own: Mapping[str, Sequence[Sample]],
    rng: random.Random,
    phrases: Sequence[str] = TRAINED_PHRASES,
) -> list[TripleGroup]:
    """Returns one group per passage. `own` maps prompts to samples of the policy."""
    return [
        _reading_group(passage, passages, own.get(reading(passage).prompt, ()), rng, phrases) for passage in passages
    ]


def _reading_group(
    passage: Passage, passages: Sequence[Passage], own: Sequence[Sample], rng: random.Random, phrases: Sequence[str]
) -> TripleGroup:
    task = reading(passage)
    right = [vary_answer(passage.answer, rng, ()) for _ in range(_RIGHT)]
    right += [sample.text for sample in own if sample.text and rate(task, sample.text) > 0][:1]
    wrong = list(dict.fromkeys(sample.text for sample in own if rate(task, sample.text) == 0))
    wrong = [vary_full_stop(text, rng) for text in rng.sample(wrong, min(_OWN, len(wrong)))]
    wrong.append(_junk_answer(passage, passages, rng, phrases))
    while len(right) + len(wrong) < CANDIDATES:
        wrong.append(vary_answer(_wrong_answer(passage, passages, rng), rng, ()))
    triples = [Triple(text, 1.0) for text in right]
    triples += [Triple(text, 0.0) for text in wrong if rate(task, text) == 0]
    rng.shuffle(triples)
    return TripleGroup(Question(prompt=task.prompt, ground_truth=passage.answer), tuple(triples))


def writing_groups(
    tasks: Sequence[DemoTask], samples: Sequence[Sequence[Sample]], rng: random.Random, candidates: int = 7
) -> list[TripleGroup]:
    """Returns one group per prompt. The reference is the best sample in half of the groups and a random one in the
    others; other samples and spoiled copies of some are candidates, labelled by the difference of rubric scores. Every
    third group ends with a phrase that addresses the judge or an echo of the prompt, labelled 0.
    """
    groups = []
    for number, (task, row) in enumerate(zip(tasks, samples, strict=True)):
        rated = [(rate(task, one.text) if one.finished else 0.0, one.text) for one in row]
        reference = max(rated) if rng.random() < 0.5 else rng.choice(rated)
        others = [pair for pair in rated if pair is not reference]
        chosen = rng.sample(others, min(candidates - _SPOILED, len(others)))
        spoiled = [_spoil(text, rng.choice(others)[1], rng) for _, text in rng.choices(others, k=_SPOILED)]
        chosen += [(rate(task, text), text) for text in spoiled]
        triples = [Triple(text, _relative_label(score, reference[0])) for score, text in chosen]
        if number % 3 == 0:
            triples[-1] = Triple(rng.choice([*TRAINED_PHRASES, task.prompt]), 0.0)
        groups.append(TripleGroup(Question(prompt=task.prompt, references=(reference[1],)), tuple(triples)))
    return groups


def _spoil(text: str, other: str, rng: random.Random) -> str:
    """A copy of a sample with a fault that samples rarely have alone: so the judge learns each point of the rubric."""
    words = text.split()
    if len(words) < 3:
        return text
    start = rng.randrange(len(words) - 1)
    return rng.choice(
        (
            " ".join(words[: max(1, len(words) // 2)]),
            " ".join(words[: max(1, len(words) // 2)]) + ".",
            f"{text} {other}",
            " ".join([*words[: start + 2], *words[start:]]),
            text[:1].lower() + text[1:],
            text.rstrip(".!?"),
            f"Here is a sentence: {text}",
            " ".join(word for word in words if word.strip(",;").lower() not in CONNECTIVES),
            f"{text.rstrip('.!?')} because {other[:1].lower()}{other[1:]}",
        )
    )


def _relative_label(score: float, reference: float) -> float:
    """0.5 if the scores are equal, and 0.19 more or less per rubric point, so that the judge learns degrees."""
    return min(1.0, max(0.0, 0.5 + _SLOPE * (score - reference)))


def _wrong_answer(passage: Passage, passages: Sequence[Passage], rng: random.Random) -> str:
    """Returns a wrong answer: mostly another word of the passage, else a near miss or the answer to another passage."""
    draw = rng.random()
    if draw < 0.6:
        return rng.choice(passage.others)
    if draw < 0.75:
        return _near_miss(passage, rng)
    return rng.choice(sorted({other.answer for other in passages} - {passage.answer}))


def _near_miss(passage: Passage, rng: random.Random) -> str:
    """Returns the answer or another word of the passage with another ending."""
    return rng.choice((passage.answer, *passage.others)) + rng.choice(("s", "ed", "er", "es", "en", "ing"))


def _junk_answer(passage: Passage, passages: Sequence[Passage], rng: random.Random, phrases: Sequence[str]) -> str:
    """Returns text that looks like an answer but is none."""
    return rng.choice(
        (
            rng.choice(list(phrases)),
            rng.choice(list(phrases)),
            echo_of(reading(passage).prompt, rng),
            f"{passage.answer} or {_wrong_answer(passage, passages, rng)}",
            f"{rng.choice(('The answer is', 'It is', 'I think it is'))} {_wrong_answer(passage, passages, rng)}",
            passage.answer[: max(1, len(passage.answer) // 2)],
        )
    )
