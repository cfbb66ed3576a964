"""Chooses the next prompt: weighted round robin over the domains, shuffled passes within a domain.

Invariant: the choice is a function of the seed, the shares, the selected prompts and the number of groups that each
domain has had. A selector that restarts reads those numbers from the database, and continues where it was. A pass
contains every prompt of a domain once; a new selection continues within a pass, at the position given by the count.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


class NoPromptsError(RuntimeError):
    """There is no prompt to train on."""


@dataclass(slots=True)
class Schedule:
    """`shares` are relative weights. Domains that are not named have weight 1; those with weight 0 are left out."""

    seed: int
    shares: Mapping[str, float]
    prompts: Mapping[str, Sequence[str]]
    """Prompt ids by domain."""
    dispatched: dict[str, int] = field(default_factory=dict)
    """Number of groups that each domain has had."""
    _passes: dict[str, tuple[int, list[str]]] = field(default_factory=dict)
    """Number of the current pass of each domain, and its order."""

    def next(self) -> str:
        """Returns the id of the next prompt to dispatch, and counts it. Raises NoPromptsError."""
        domain = self._next_domain()
        count = self.dispatched.get(domain, 0)
        prompts = self.prompts[domain]
        turn, position = divmod(count, len(prompts))
        self.dispatched[domain] = count + 1
        return self._pass_order(domain, turn)[position]

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

    def _pass_order(self, domain: str, turn: int) -> list[str]:
        known, order = self._passes.get(domain, (None, []))
        if known != turn:
            order = sorted(self.prompts[domain])
            random.Random(f"{self.seed}/{domain}/{turn}").shuffle(order)
            self._passes[domain] = turn, order
        return order
