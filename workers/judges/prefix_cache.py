"""How much of the prompts a vLLM server found in its prefix cache, from its /metrics."""

from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

_QUERIES, _HITS = "vllm:prefix_cache_queries", "vllm:prefix_cache_hits"


@dataclass(frozen=True, slots=True)
class CacheTokens:
    """Prompt tokens since the server's start."""

    asked: float
    found: float


def cache_tokens(text: str) -> CacheTokens | None:
    """From the text format; None where the counters are not there, or it is another format."""
    totals = dict.fromkeys((_QUERIES, _HITS), 0.0)
    seen: set[str] = set()
    try:
        for family in text_string_to_metric_families(text):
            if family.name in totals:
                seen.add(family.name)
                totals[family.name] += sum(one.value for one in family.samples if one.name.endswith("_total"))
    except ValueError:
        return None
    return CacheTokens(totals[_QUERIES], totals[_HITS]) if len(seen) == len(totals) else None


def hit_rate(before: CacheTokens | None, now: CacheTokens) -> float | None:
    """Share of the tokens asked for since `before` that were found; None where none was. A server that restarted
    counts from 0 again.
    """
    if before is None or before.asked > now.asked:
        before = CacheTokens(0.0, 0.0)
    asked = now.asked - before.asked
    return (now.found - before.found) / asked if asked else None
