"""Which prompt is next: weighted round robin over the domains, shuffled passes inside a domain.

Invariant: the choice is a function of the seed, the shares, the selected prompts and how many groups each domain
has had; a selector that restarts, with those counts from the database, goes on where it was. A pass shows every prompt
of a domain once; a new selection goes on within a pass, at the place that the count gives.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


class NoPromptsError(RuntimeError):
    """There is nothing to train on."""


@dataclass(slots=True)
class Schedule:
    """`shares` are relative weights; domains that are not named weigh 1, those with 0 are left out."""

    seed: int
    shares: Mapping[str, float]
    prompts: Mapping[str, Sequence[str]]
    """Prompt ids by domain."""
    dispatched: dict[str, int] = field(default_factory=dict)
    """Groups that each domain has had."""
    _passes: dict[str, tuple[int, list[str]]] = field(default_factory=dict)
    """The pass that each domain is in, and its order."""

    def next(self) -> str:
        """The prompt id to dispatch, which is then counted. Raises NoPromptsError."""
        domain = self._next_domain()
        count = self.dispatched.get(domain, 0)
        prompts = self.prompts[domain]
        turn, position = divmod(count, len(prompts))
        self.dispatched[domain] = count + 1
        return self._pass(domain, turn)[position]

    def _next_domain(self) -> str:
        """The domain that is furthest behind its share."""
        shares = {name: self.shares.get(name, 1.0) for name, prompts in self.prompts.items() if prompts}
        active = [name for name, share in shares.items() if share > 0]
        if not active:
            raise NoPromptsError(
                "no prompt is selected for training: ingest prompts of split 'train' (rewardstream prompts ingest), "
                "and check selector.domain_shares and `rewardstream prompts explain`"
            )
        return min(active, key=lambda name: ((self.dispatched.get(name, 0) + 1) / shares[name], name))

    def _pass(self, domain: str, turn: int) -> list[str]:
        known, order = self._passes.get(domain, (None, []))
        if known != turn:
            order = sorted(self.prompts[domain])
            random.Random(f"{self.seed}/{domain}/{turn}").shuffle(order)
            self._passes[domain] = turn, order
        return order
