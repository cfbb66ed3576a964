"""Which scorer judges a rollout: a verifier named -> RTV; else GenRM, with the ground truth where there is
one and with best-of-N references where there is none (arXiv 2503.22230; the order is our choice).

Invariant: what the router needs stands in the headers that `route_headers` makes; it never opens a body.
"""

import hashlib

from streams.messages import Question, Route

ROUTE_HEADER = "route"
SHADOW_ROUTE_HEADER = "shadow_route"
"""The other route, where it could score the rollout too, for calibration."""

SHADOW_HEADER = "shadow"
"""Marks a copy that the other route scores for calibration; the learner does not train on its score."""


def route_of(question: Question) -> Route:
    return Route.RTV if question.verifier else Route.GENRM


def judgeable(question: Question) -> bool:
    """Whether there is something that a judge can compare a response with."""
    return question.ground_truth is not None or bool(question.references)


def shadow_route_of(question: Question) -> Route | None:
    """The route that could score it beside its own: GenRM where there is something to judge by, RTV by the veto's
    verifier; None where there is no other.
    """
    if route_of(question) is Route.RTV:
        return Route.GENRM if judgeable(question) else None
    return Route.RTV if question.veto else None


def route_headers(question: Question) -> dict[str, str]:
    shadow = shadow_route_of(question)
    return {ROUTE_HEADER: str(route_of(question))} | ({SHADOW_ROUTE_HEADER: str(shadow)} if shadow else {})


def in_share(key: bytes, share: float) -> bool:
    """Whether a key falls into the share: by its hash, so a group is in or out as a whole and for ever."""
    return int.from_bytes(hashlib.sha256(key).digest()[:8]) < share * 2**64
