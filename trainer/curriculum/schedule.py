"""Chooses the next prompt: fair shares of the domains, which may change with the step, and shuffled passes within a
domain.

It is start-time fair queueing (Goyal, Vin and Cheng, 1996) for shares that change. A group costs its domain one credit,
which the domain owes and pays back at the rate of its share; the domain that will have paid first is next. Nothing is
saved up: who owes nothing earns nothing, and who has no prompts, or no share, owes one group at most.

Invariants
- A domain owes between 0 and 1 group. Therefore, from any group on, and whatever came before, the number of groups of a
  domain that has prompts and a share differs by at most 1 from what its share has paid, and all domains are paid over
  the same time. If shares are constant, the groups of two domains, each divided by its share, differ by at most
  1 / share of one plus 1 / share of the other.
- The choice is a function of the seed, the shares, the selected prompts, and the domain and step of every group so far,
  in their order. A selector that restarts reads those from the database, and continues where it was.
- A pass contains every prompt of a domain once; a new selection continues within a pass, at the position given by the
  domain's number of groups.
"""

import random
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from infra.settings.domain_shares import DomainShare, share_at
from trainer.curriculum.prompt_ids import PromptIds


class NoPromptsError(RuntimeError):
    """There is no prompt to train on."""


@dataclass(slots=True)
class Schedule:
    """`shares` are relative weights by step. Domains that are not named have weight 1; those with weight 0 are left out
    as long as it is 0.
    """

    seed: int
    shares: Mapping[str, DomainShare]
    prompts: Mapping[str, PromptIds]
    """Prompt ids by domain. With the order of a pass, a million of them take 68 MB."""
    factors: Mapping[str, float] = field(default_factory=dict)
    """Factors on the shares of some domains, for as long as an alarm lasts."""
    _dispatched: Counter[str] = field(default_factory=Counter)
    """Number of groups that each domain has had."""
    _owed: dict[str, float] = field(default_factory=dict)
    """The part of its last group that each domain has not paid back yet."""
    _passes: dict[str, tuple[int, "array[int]"]] = field(default_factory=dict)
    """Number of the current pass of each domain, and its order, as indexes of the domain's prompts."""

    @property
    def groups(self) -> int:
        """Number of groups that were counted."""
        return self._dispatched.total()

    def replay(self, groups: Iterable[tuple[str, int]]) -> None:
        """Counts groups that were dispatched earlier, given by their (domain, step) in the order of dispatch."""
        for domain, step in groups:
            self._count(domain, step)

    def select(self, prompts: Mapping[str, PromptIds]) -> None:
        """Continues with another selection."""
        self.prompts = prompts
        self._passes.clear()

    def next(self, step: int) -> str:
        """Returns the id of the next prompt to dispatch at a step, and counts it. Raises NoPromptsError."""
        domain = self._next_domain(step)
        prompts = self.prompts[domain]
        turn, position = divmod(self._dispatched[domain], len(prompts))
        self._count(domain, step)
        return prompts[self._pass_order(domain, turn)[position]]

    def fractions(self, step: int) -> dict[str, float]:
        """The fraction of the groups that each domain with prompts is to get at a step."""
        weights = {domain: self._share(domain, step) for domain, prompts in self.prompts.items() if prompts}
        total = sum(weights.values())
        return {domain: weight / total if total else 0.0 for domain, weight in weights.items()}

    def _next_domain(self, step: int) -> str:
        active = [domain for domain, prompts in self.prompts.items() if prompts and self._share(domain, step) > 0]
        if not active:
            raise NoPromptsError(
                "no prompt is selected for training: ingest prompts of split 'train' (rewardstream prompts ingest), "
                "and check selector.domain_shares and `rewardstream prompts explain`"
            )
        return min(active, key=lambda domain: (self._wait(domain, step), domain))

    def _count(self, domain: str, step: int) -> None:
        self._dispatched[domain] += 1
        if self._share(domain, step) > 0:  # a restart may have taken away the share of a domain that had groups
            elapsed = self._wait(domain, step)
            for other, owed in self._owed.items():
                self._owed[other] = max(0.0, owed - elapsed * self._share(other, step))
            self._owed[domain] = 1.0

    def _wait(self, domain: str, step: int) -> float:
        """The virtual time in which the domain pays what it owes."""
        return self._owed.get(domain, 0.0) / self._share(domain, step)

    def _share(self, domain: str, step: int) -> float:
        return share_at(self.shares.get(domain, 1.0), step) * self.factors.get(domain, 1.0)

    def _pass_order(self, domain: str, turn: int) -> "array[int]":
        known, order = self._passes.get(domain, (None, array("I")))
        if known != turn:
            order = array("I", range(len(self.prompts[domain])))
            random.Random(f"{self.seed}/{domain}/{turn}").shuffle(order)
            self._passes[domain] = turn, order
        return order
