"""Exact match after normalisation, against the ground truth or any of the accepted answers.

Invariant: normalisation forgives form (case, spaces, one pair of surrounding quotes, one final full stop), never
content: a longer answer that contains the right one is wrong.
"""

import re
from collections.abc import Mapping
from typing import ClassVar

from streams.messages import Question, Status
from workers.verifiers.answers.final_answer import HEDGE, NoAnswerError, clean, unwrapped
from workers.verifiers.answers.normalisation import normalise
from workers.verifiers.answers.reasoning import after_reasoning
from workers.verifiers.answers.retractions import standing
from workers.verifiers.base import Signed, Verdict

_CLAUSE_END = re.compile(r"\\f?boxed|</?answer>|(?<=\w\w)[.!;](?:\s|$)|(?<=\w\w\?)\s", re.IGNORECASE)


class ExactVerifier(Signed):
    name = "exact"
    version = "3"
    policy = (
        "The whole answer after any reasoning block must equal the ground truth or an accepted answer. Case, spaces, "
        "invisible characters, the shape of hyphens and apostrophes, one pair of surrounding quotes and one final full "
        "stop do not count; articles do, unless ignore_articles. With extract final, what \\boxed{}, <answer> or `the "
        "answer is ...` gives is the answer, or the whole text without them; answers that disagree, or that the text "
        "denies, doubts or takes back, are wrong."
    )
    options: ClassVar[Mapping[str, str]] = {
        "accept": "a list of further right answers",
        "ignore_articles": "true: a, an and the do not count (default false)",
        "keep_punctuation": "true: quotes and the final full stop count (default false)",
        "case_sensitive": "true: case counts, as in CO and Co (default false)",
        "extract": "final: boxes, <answer> and `the answer is ...` are read (default: the whole text is the answer)",
    }

    def verify(self, question: Question, response: str) -> Verdict:
        options = question.options
        accepted = [question.ground_truth, *options.get("accept", ())]
        names = ("ignore_articles", "keep_punctuation", "case_sensitive")
        flags = {name: bool(options.get(name, False)) for name in names}
        golds = {normalise(str(gold), **flags) for gold in accepted if gold is not None} - {""}
        extract = options.get("extract")
        if not golds or extract not in {None, "final"}:
            why = "set ground_truth or accept" if not golds else f"option extract must be final, not {extract!r}"
            return self._verdict(None, Status.INFRA_ERROR, f"the question cannot be judged: {why}")
        try:
            text = after_reasoning(response)
            answers = [normalise(own, **flags) for own in (final_texts(text) if extract else [text])]
        except NoAnswerError as error:
            return self._verdict(0.0, Status.UNPARSEABLE, str(error))
        if not all(answers):
            return self._verdict(0.0, Status.UNPARSEABLE, "the answer is empty")
        wrong = next((answer for answer in answers if answer not in golds), None)
        if wrong is None:
            return self._verdict(1.0, Status.CORRECT, f"equals {answers[-1]!r}")
        return self._verdict(0.0, Status.WRONG, f"{wrong[:80]!r} is none of {sorted(golds)[:5]}")


def final_texts(text: str) -> list[str]:
    """What boxes, tags and statements give, each without its LaTeX wrapping, or the text. Raises NoAnswerError."""
    text = clean(text)
    boxes, statements = standing(text)
    if any(HEDGE.match(place.text) for place in [*boxes, *statements]):
        raise NoAnswerError("the answer is hedged")
    clauses = [own for place in statements if (own := _clause(place.text))]
    return [unwrapped(place.text) for place in boxes] + [unwrapped(own) for own in clauses] or [unwrapped(text)]


def _clause(text: str) -> str:
    """Up to the end of its sentence or a mark that is read by itself."""
    return _CLAUSE_END.split(text)[0].strip(" $:")
