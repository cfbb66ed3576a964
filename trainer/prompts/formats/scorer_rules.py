"""Chooses the scorer of a foreign row: the user's rule, else what is known of its source, else a refusal.

Invariant: a source that nobody has named a scorer for is refused with the way to name one. It never gets a default such
as `exact`, by which free text scores 0 for ever.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from trainer.prompts.dataset_errors import RowError

GENRM = "genrm"
"""The name that stands for the judge where a verifier's name could stand."""

_KNOWN: Mapping[str, tuple[str, ...]] = {
    "math": (
        *("openai/gsm8k", "gsm8k", "math", "strict_math", "math_dapo", "math_dapo_reasoning", "math-ai/math500"),
        *("lighteval/math", "digitallearninggmbh/math-lighteval", "huggingfaceh4/math-500", "lighteval/math_v2"),
        *("deepscaler", "math500", "amc23", "minerva_math", "olympiadbench", "hiyouga/math12k", "big_math"),
    ),
    "code": (
        *("codecontests", "apps", "codeforces", "taco", "livecodebench", "lcb", "lcbv5", "leetcode", "leetcode2k"),
        *("humaneval", "humanevalplus", "openai_humaneval", "openai/openai_humaneval", "mbpp", "mbppplus", "code"),
        *("kodcode", "primeintellect", "code_stdio", "google-research-datasets/mbpp"),
    ),
    "exact": ("flan", "string_matcher", "re_search"),
    "instructions": ("ifeval",),
    GENRM: ("general-quality", "general-quality_ref", "general-quality_rubric", "general"),
}
_PREFIXES = {"aime": "math", "numina_": "math", "searchr1_": "exact"}
_SCORERS = {source: scorer for scorer, sources in _KNOWN.items() for source in sources}


@dataclass(frozen=True, slots=True)
class ScorerRules:
    by_source: Mapping[str, str] = field(default_factory=dict)
    """The user's rules: name of a source -> name of a verifier, or `genrm`."""
    default: str | None = None
    """The user's scorer for rows that name neither a scorer nor a source with one."""

    def choose(self, source: str | None, known: str | None = None) -> str:
        """The scorer of a row; `known` is its format's, which the user's default replaces. Raises RowError if nobody
        knows one.
        """
        named = None if source is None else self.by_source.get(source) or known_scorer(source)
        found = named or self.default or known
        if found is None:
            which = f"{source}=VERIFIER" if source else "SOURCE=VERIFIER"
            what = f"the source {source!r} has no known scorer" if source else "the row names no source with a scorer"
            raise RowError(
                f"{what}: give --rule {which} or, for all such rows, --verifier NAME; `rewardstream score --list` says "
                f"which verifier counts what, and {GENRM} is the judge"
            )
        return found


def known_scorer(source: str) -> str | None:
    """The scorer that a published dataset is scored by, by the name that verl and open-instruct give the dataset."""
    name = source.lower()
    prefix = next((scorer for prefix, scorer in _PREFIXES.items() if name.startswith(prefix)), None)
    return _SCORERS.get(name, prefix)
