"""Measures how much of its prompts a vLLM server found in its prefix cache, from its /metrics."""

from dataclasses import dataclass

from infra.scrape import parse

_PREFIX = "vllm:prefix_cache_"
_QUERIES, _HITS = f"{_PREFIX}queries_total", f"{_PREFIX}hits_total"


@dataclass(frozen=True, slots=True)
class CacheTokens:
    """Numbers of prompt tokens since the server's start."""

    asked: float
    found: float


def cache_tokens(text: str) -> CacheTokens | None:
    """Parses Prometheus' text format; None if the counters are missing or the text has another format."""
    try:
        samples = parse(text, _PREFIX)
    except ValueError:
        return None
    asked, found = ([value for (name, _), value in samples.items() if name == total] for total in (_QUERIES, _HITS))
    return CacheTokens(sum(asked), sum(found)) if asked and found else None


def hit_rate(before: CacheTokens | None, now: CacheTokens) -> float | None:
    """Returns the fraction of tokens since `before` that were found in the cache; None if there were no tokens. A
    server that restarted counts from 0 again.
    """
    if before is None or before.asked > now.asked:
        before = CacheTokens(0.0, 0.0)
    asked = now.asked - before.asked
    return (now.found - before.found) / asked if asked else None
