"""Decides which scorer judges a rollout: RTV if the question names a verifier; else GenRM, with the ground truth if
there is one, otherwise with best-of-N references (arXiv 2503.22230; the order is our choice).

Invariant: the headers from `route_headers` hold all that the router needs; it never opens a body.
"""

import hashlib

from streams.messages import Question, Route

ROUTE_HEADER = "route"
SHADOW_ROUTE_HEADER = "shadow_route"
"""The other route, if it could score the rollout too; for calibration."""

SHADOW_HEADER = "shadow"
"""Marks a copy that the other route scores for calibration; the learner does not train on its score."""


def route_of(question: Question) -> Route:
    return Route.RTV if question.verifier else Route.GENRM


def judgeable(question: Question) -> bool:
    """Whether there is something that a judge can compare a response with."""
    return question.ground_truth is not None or bool(question.references)


def shadow_route_of(question: Question) -> Route | None:
    """Returns the route that could score it in addition to its own: GenRM if there is something to judge by, RTV if
    the question has a veto's verifier; None if there is no other.
    """
    if route_of(question) is Route.RTV:
        return Route.GENRM if judgeable(question) else None
    return Route.RTV if question.veto else None


def route_headers(question: Question) -> dict[str, str]:
    shadow = shadow_route_of(question)
    return {ROUTE_HEADER: str(route_of(question))} | ({SHADOW_ROUTE_HEADER: str(shadow)} if shadow else {})


def in_share(key: bytes, share: float) -> bool:
    """Whether a key falls into the fraction `share`. Its hash decides, so a group is in or out as a whole, for good."""
    return int.from_bytes(hashlib.sha256(key).digest()[:8]) < share * 2**64
