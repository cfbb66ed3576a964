"""Shares of the domains in training: what the settings asked for, what was dispatched, and what was trained.

Invariant: the three are taken over the same groups, and each sums to 1 over the domains.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from infra.report.collect import GroupRow
from infra.settings.domain_shares import DomainShare, fractions_at


def domain_shares(groups: Sequence[GroupRow], shares: Mapping[str, DomainShare]) -> dict[str, dict[str, Any]]:
    """Domain -> {asked, dispatched, trained, dispatched_groups, trained_groups}; empty if nothing was dispatched.

    `asked` is the mean over the dispatched train groups, at the version of their dispatch, of the share that the domain
    was to get among the domains that were trained on. `trained` is None before the first trained group.
    """
    train = [group for group in groups if group.purpose == "train"]
    dispatched = Counter(group.domain for group in train)
    trained = Counter(group.domain for group in train if group.outcome == "trained")
    at = {version: fractions_at(shares, version, dispatched) for version in {g.dispatched_version for g in train}}
    return {
        domain: {
            "asked": round(fmean(at[group.dispatched_version][domain] for group in train), 4),
            "dispatched": round(count / len(train), 4),
            "trained": round(trained[domain] / trained.total(), 4) if trained else None,
            "dispatched_groups": count,
            "trained_groups": trained[domain],
        }
        for domain, count in sorted(dispatched.items())
    }


def shares_by_version(
    groups: Sequence[GroupRow], shares: Mapping[str, DomainShare], window: int
) -> dict[str, dict[int, tuple[float, float]]]:
    """Domain -> version -> (asked, trained): the share asked for at a version, and the domain's share of the groups
    that were trained in the last `window` versions.
    """
    domains = sorted({group.domain for group in groups if group.purpose == "train"})
    trained: dict[int, Counter[str]] = {}
    for group in groups:
        if group.outcome == "trained" and group.version is not None:
            trained.setdefault(group.version, Counter())[group.domain] += 1
    found: dict[str, dict[int, tuple[float, float]]] = {domain: {} for domain in domains}
    for version in sorted(trained):
        lately = Counter[str]()
        for earlier in range(version - window + 1, version + 1):
            lately.update(trained.get(earlier, {}))
        asked = fractions_at(shares, version, domains)
        for domain in domains:
            found[domain][version] = asked[domain], lately[domain] / lately.total()
    return found
