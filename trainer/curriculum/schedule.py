"""Chooses the next prompt: fair shares of the domains by start-time fair queueing, shuffled passes within a domain.

Every group of a domain starts at a virtual time and takes 1 / share of it. It starts when the domain's last group
finished, but not before the start of the group that any domain was given last. The domain that can start first is next
(Goyal, Vin and Cheng, 1996: "Start-time Fair Queueing"). A domain without prompts saves up no credit this way.

Invariants
- From any group on, and whatever came before, the groups of two domains that have prompts, each divided by its share,
  differ by at most 1 / share of one plus 1 / share of the other.
- The choice is a function of the seed, the shares, the selected prompts and the domains of all groups so far, in their
  order. A selector that restarts reads those from the database, and continues where it was.
- A pass contains every prompt of a domain once; a new selection continues within a pass, at the position given by the
  domain's number of groups.
"""

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
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
    _dispatched: Counter[str] = field(default_factory=Counter)
    """Number of groups that each domain has had."""
    _finish: dict[str, float] = field(default_factory=dict)
    """Virtual time at which the last group of each domain finished."""
    _now: float = 0.0
    """Virtual time at which the last group of all domains started."""
    _passes: dict[str, tuple[int, list[str]]] = field(default_factory=dict)
    """Number of the current pass of each domain, and its order."""

    def replay(self, domains: Iterable[str]) -> None:
        """Counts groups that were dispatched earlier, given by their domains in the order of dispatch."""
        for domain in domains:
            self._count(domain)

    def select(self, prompts: Mapping[str, Sequence[str]]) -> None:
        """Continues with another selection."""
        self.prompts = prompts
        self._passes.clear()

    def next(self) -> str:
        """Returns the id of the next prompt to dispatch, and counts it. Raises NoPromptsError."""
        domain = self._next_domain()
        prompts = self.prompts[domain]
        turn, position = divmod(self._dispatched[domain], len(prompts))
        self._count(domain)
        return self._pass_order(domain, turn)[position]

    def _next_domain(self) -> str:
        active = [domain for domain, prompts in self.prompts.items() if prompts and self._share(domain) > 0]
        if not active:
            raise NoPromptsError(
                "no prompt is selected for training: ingest prompts of split 'train' (rewardstream prompts ingest), "
                "and check selector.domain_shares and `rewardstream prompts explain`"
            )
        return min(active, key=lambda domain: (self._start(domain), domain))

    def _count(self, domain: str) -> None:
        self._dispatched[domain] += 1
        share = self._share(domain)
        if share > 0:  # a restart may have taken away the share of a domain that had groups
            self._now = self._start(domain)
            self._finish[domain] = self._now + 1 / share

    def _start(self, domain: str) -> float:
        return max(self._now, self._finish.get(domain, 0.0))

    def _share(self, domain: str) -> float:
        return self.shares.get(domain, 1.0)

    def _pass_order(self, domain: str, turn: int) -> list[str]:
        known, order = self._passes.get(domain, (None, []))
        if known != turn:
            order = sorted(self.prompts[domain])
            random.Random(f"{self.seed}/{domain}/{turn}").shuffle(order)
            self._passes[domain] = turn, order
        return order
