"""Mutations of a response, drawn by hypothesis: splice, repeat, cut, insert, nest, blow up."""

from collections.abc import Callable, Sequence

from hypothesis import strategies as st

from support.hostile_seeds import Seed

MAX_RESPONSE = 400_000
"""Characters: twice what any verifier reads."""
TAGS = [
    "<think>",
    "</think>",
    "<answer>",
    "</answer>",
    r"\boxed{",
    "}",
    "$",
    "$$",
    "```",
    "**",
    "####",
    "The answer is ",
]
ODD = ["\x00", "\u200b", "\u202e", "\u2066", "\ufeff", "\u0336", "\r", "\x1b[2J", "\ud7ff", "²", "½", "٣", "7"]
HUGE = ["9" * 500, "9" * 50_000, "1e999999999", "9^{9^{9}}", "10^{-99999}", "0." + "3" * 5000, "5!!!!!!!!", "99999!"]

Mutation = Callable[[str], str]


def responses(pool: Sequence[Seed]) -> st.SearchStrategy[tuple[Seed, str]]:
    """A seed, and its response after one to four mutations."""
    others = [seed.response for seed in pool]
    mutation = st.one_of(
        _inserts(TAGS), _inserts(ODD), _inserts(HUGE), _splices(others), _cuts(), _repeats(), _nests(), _swaps()
    )
    return st.builds(_mutated, st.sampled_from(pool), st.lists(mutation, min_size=1, max_size=4))


def _mutated(seed: Seed, mutations: list[Mutation]) -> tuple[Seed, str]:
    text = seed.response
    for mutation in mutations:
        text = mutation(text)[:MAX_RESPONSE]
    return seed, text


_SHARES = st.integers(0, 1000)


def _at(text: str, share: int) -> int:
    return len(text) * share // 1000


def _inserts(what: list[str]) -> st.SearchStrategy[Mutation]:
    def insert(share: int, piece: str) -> Mutation:
        return lambda text: text[: _at(text, share)] + piece + text[_at(text, share) :]

    return st.builds(insert, _SHARES, st.sampled_from(what))


def _splices(others: list[str]) -> st.SearchStrategy[Mutation]:
    def splice(share: int, other: str, other_share: int) -> Mutation:
        return lambda text: text[: _at(text, share)] + other[_at(other, other_share) :]

    return st.builds(splice, _SHARES, st.sampled_from(others), _SHARES)


def _cuts() -> st.SearchStrategy[Mutation]:
    def cut(first: int, second: int) -> Mutation:
        return lambda text: text[: _at(text, min(first, second))] + text[_at(text, max(first, second)) :]

    return st.builds(cut, _SHARES, _SHARES)


def _repeats() -> st.SearchStrategy[Mutation]:
    def repeat(first: int, second: int, times: int) -> Mutation:
        def apply(text: str) -> str:
            start, end = sorted((_at(text, first), _at(text, second)))
            return text[:start] + text[start:end] * times + text[end:]

        return apply

    return st.builds(repeat, _SHARES, _SHARES, st.sampled_from([2, 3, 50, 1000]))


def _nests() -> st.SearchStrategy[Mutation]:
    def nest(pair: tuple[str, str], depth: int) -> Mutation:
        return lambda text: pair[0] * depth + text + pair[1] * depth

    pairs = [("(", ")"), ("{", "}"), (r"\boxed{", "}"), ("<think>", "</think>"), (r"\frac{", "}{2}"), (r"\sqrt{", "}")]
    return st.builds(nest, st.sampled_from([*pairs, ("[", "]"), ('"', '"')]), st.sampled_from([1, 2, 29, 400]))


def _swaps() -> st.SearchStrategy[Mutation]:
    def swap(share: int, character: str) -> Mutation:
        return lambda text: text[: _at(text, share)] + character + text[_at(text, share) + 1 :]

    return st.builds(swap, _SHARES, st.characters(codec="utf-8"))
