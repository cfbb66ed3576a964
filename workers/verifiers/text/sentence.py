"""A rubric of eight points for one vivid sentence about a topic.

Invariant: the score is the share of points that hold, each a check of form; what the sentence means is not judged.
"""

import re
from collections.abc import Mapping
from typing import ClassVar

from streams.messages import Question, Status
from workers.verifiers.answers.reasoning import after_reasoning
from workers.verifiers.answers.words import ngrams, words
from workers.verifiers.base import BaseVerifier, OptionsError, Verdict
from workers.verifiers.instructions.checkers import one_sentence

SHORTEST, LONGEST = 10, 22
CONTENT_WORDS = 4
STEM = 5
"""Letters by which a word is known: dragon, dragons."""

CONNECTIVES = frozenset(
    [
        *("because", "while", "although", "though", "when", "where", "since", "until", "unless", "whenever"),
        *("as", "so", "but", "yet", "which", "whose", "before", "after", "like", "if", "who", "that"),
    ]
)
FUNCTION_WORDS = frozenset(
    [
        *("about", "above", "again", "also", "been", "being", "could", "does", "each", "even", "ever", "every", "from"),
        *("have", "having", "here", "into", "it's", "just", "many", "more", "most", "much", "must", "only", "other"),
        *("over", "should", "some", "such", "than", "that's", "their", "them", "then", "there", "these", "they"),
        *("this", "those", "through", "under", "very", "were", "what", "will", "with", "would", "your", "thing"),
        *("things", "really", "good", "great", "important", "because", "while", "although", "though", "when", "where"),
        *("since", "until", "unless", "whenever", "which", "whose", "before", "after", "like", "that"),
    ]
)
ARTICLES = frozenset(["a", "an", "the", "of", "and", "in", "my", "your"])
META = re.compile(
    r"\b(?:sentence|describe|description|answer|here(?:'s| is)|sure|certainly|as an ai|language model|write|writing|"
    r"topic|prompt|vivid|i (?:can't|cannot)|sorry|story about)\b|[*#<>\[\]{}|`]|[:;]|\bhttps?\b",
    re.IGNORECASE,
)


class SentenceVerifier(BaseVerifier):
    name = "sentence"
    version = "1"
    policy = (
        f"One point each, eight in all: on topic, one finished sentence, {SHORTEST}-{LONGEST} words, nothing repeated, "
        f"no talk about the task, a capital first, {CONTENT_WORDS} content words besides the topic, a connective. "
        "The score is their share."
    )
    options: ClassVar[Mapping[str, str]] = {"topic": "the word or words that the sentence is about; required"}

    def judge(self, question: Question, response: str) -> Verdict:
        topic = question.options.get("topic")
        if not isinstance(topic, str) or ARTICLES.issuperset(words(topic)):
            raise OptionsError(f"option topic must be a text of a word or more, not {topic!r:.80}")
        text = after_reasoning(response)
        if not words(text):
            return Verdict(0.0, Status.UNPARSEABLE, "the answer holds no word", self.name, self.version)
        found = points(text, topic)
        missed = [name for name, holds in found.items() if not holds]
        why = f"missed: {', '.join(missed)}" if missed else "all eight points"
        score = sum(found.values()) / len(found)
        return Verdict(score, Status.JUDGED, why, self.name, self.version, details={"points": found})


def points(text: str, topic: str) -> dict[str, bool]:
    """The eight points, by name."""
    found = words(text)
    subject = {_stem(word) for word in words(topic) if word not in ARTICLES}
    stems = [_stem(word) for word in found]
    content = [_stem(word) for word in found if len(word) > 3 and word not in FUNCTION_WORDS]
    others = [stem for stem in content if stem not in subject]
    return {
        "on topic": bool(subject & set(stems)),
        "one finished sentence": one_sentence(text),
        "length": SHORTEST <= len(found) <= LONGEST,
        "no repeats": len(set(others)) == len(others) and len(set(ngrams(found, 2))) == max(0, len(found) - 1),
        "no meta talk": META.search(text) is None,
        "capital first": text[:1].isupper(),
        "content words": len(set(others)) >= CONTENT_WORDS,
        "connective": not CONNECTIVES.isdisjoint(found),
    }


def _stem(word: str) -> str:
    return word.removesuffix("'s").removesuffix("s")[:STEM]
