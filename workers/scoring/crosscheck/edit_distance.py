"""Edit distances between the responses of a group: how many different answers a policy gives to one prompt.

The five responses' largest distance is the measure of diversity of arXiv 2503.22230. Levenshtein's distance is computed
by Hyyrö's form of Myers' bit-parallel algorithm (Myers 1999, J. ACM 46(3); Hyyrö 2001): a column of the table of
distances is two integers, so a pair of 512 characters takes a third of a millisecond.

Invariant: the cost of a group is bounded by the number of responses and the length to which they are cut.
"""

from collections.abc import Sequence
from itertools import combinations


def largest_edit_distance(texts: Sequence[str], characters: int) -> float:
    """The largest distance between two of the texts, each cut to `characters`, as a fraction of the longer one. 0 if
    all are equal, 1 if two have nothing in common.
    """
    cut = sorted({text[:characters] for text in texts})
    return max((edit_distance(*pair) / max(map(len, pair)) for pair in combinations(cut, 2)), default=0.0)


def edit_distance(first: str, second: str) -> int:
    """The number of characters to insert, delete or replace."""
    if not first or not second:
        return len(first) + len(second)
    places: dict[str, int] = {}
    for index, character in enumerate(first):
        places[character] = places.get(character, 0) | 1 << index
    full, last = (1 << len(first)) - 1, 1 << (len(first) - 1)
    rises, falls, distance = full, 0, len(first)
    """Bits of the rows whose distance is one more, and one less, than that of the row above."""
    for character in second:
        equal = places.get(character, 0)
        same_or_fall = equal | falls
        diagonal = (((equal & rises) + rises) ^ rises) | equal
        up = falls | ~(diagonal | rises) & full
        down = rises & diagonal
        distance += bool(up & last) - bool(down & last)
        up = (up << 1 | 1) & full
        rises = (down << 1 | ~(same_or_fall | up)) & full
        falls = up & same_or_fall
    return distance
