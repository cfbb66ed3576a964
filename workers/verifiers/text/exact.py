"""Exact match after normalisation, against the ground truth or any of the accepted answers.

Invariant: normalisation forgives form (case, spaces, one pair of surrounding quotes, one final full stop), never
content: a longer answer that contains the right one is wrong.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from streams.messages import Question
from workers.verifiers.answers.final_answer import final_answers
from workers.verifiers.answers.grammar import Answer, Grammar
from workers.verifiers.answers.markup import NoAnswerError, unwrapped
from workers.verifiers.answers.normalisation import normalise
from workers.verifiers.answers.verifier import POLICY, AnswerVerifier
from workers.verifiers.base import OptionsError, flag

_FLAGS = ("ignore_articles", "keep_punctuation", "case_sensitive")
_NO_MORE = 40
"""Characters by which a clause may be longer than twice the longest right answer; a longer one explains something."""


@dataclass(frozen=True, slots=True)
class Accepted:
    texts: frozenset[str]
    """Normalised."""
    flags: Mapping[str, bool]
    extract: bool
    longest: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "longest", 2 * max(map(len, self.texts)) + _NO_MORE)

    def normalised(self, text: str) -> str:
        return normalise(text, **self.flags)


class ExactVerifier(AnswerVerifier[Accepted, str]):
    name = "exact"
    version = "7"
    policy = (
        "The whole answer after any reasoning block must equal the ground truth or an accepted answer. Case, spaces, "
        "invisible characters, the shape of hyphens and apostrophes, one pair of surrounding quotes and one final full "
        "stop do not count; articles do, unless ignore_articles. With extract final, the answer is what the text "
        f"commits to, as follows. {POLICY} Without any of them the answer is the whole text, or what its last sentence "
        "gives (`So the capital is Paris`)."
    )
    options: ClassVar[Mapping[str, str]] = {
        "accept": "a list of further right answers",
        "ignore_articles": "true: a, an and the do not count (default false)",
        "keep_punctuation": "true: quotes and the final full stop count (default false)",
        "case_sensitive": "true: case counts, as in CO and Co (default false)",
        "extract": "final: boxes, <answer> and `the answer is ...` are read (default: the whole text is the answer)",
    }

    def gold(self, question: Question) -> Accepted:
        flags = {name: flag(question.options, name) for name in _FLAGS}
        texts = {normalise(gold, **flags) for gold in _accepted(question)} - {""}
        if not texts:
            raise OptionsError("the question has no answer: set ground_truth or accept")
        extract = question.options.get("extract")
        if extract not in {None, "final"}:
            raise OptionsError(f"option extract must be final, not {extract!r}")
        return Accepted(frozenset(texts), flags, extract == "final")

    def grammar(self, gold: Accepted) -> Grammar[str]:
        known: dict[str, str] = {}  # a stretch is read up to four times

        def marked(text: str, _: str = "") -> str:
            if text not in known:
                known[text] = gold.normalised(unwrapped(text))
            return known[text]

        def accepts(text: str) -> str | None:
            answer = marked(text)
            return answer if 0 < len(answer) <= gold.longest else None

        def is_gold(text: str) -> bool:
            return len(text) <= gold.longest and marked(text) in gold.texts

        return Grammar(accepts, marked, literal=is_gold, free=True)

    def answers(self, gold: Accepted, text: str) -> list[Answer[str]]:
        if gold.extract:
            return final_answers(text, self.grammar(gold))
        answer = gold.normalised(text)
        if not answer:
            raise NoAnswerError("the answer is empty")
        return [Answer((answer,), 0, len(text), 0)]

    def fault(self, gold: Accepted, value: str) -> str | None:
        return None if value in gold.texts else f"{value[:80]!r} is none of {sorted(gold.texts)[:5]}"


def _accepted(question: Question) -> list[str]:
    """Raises OptionsError."""
    more: Any = question.options.get("accept", ())
    if not isinstance(more, list | tuple) or not all(isinstance(own, str) for own in more):
        raise OptionsError(f"option accept must be a list of texts, not {more!r:.80}")
    return [*([] if question.ground_truth is None else [question.ground_truth]), *more]
