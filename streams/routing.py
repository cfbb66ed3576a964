"""Which scorer judges a rollout: a verifier named -> RTV; else GenRM, with the ground truth where there is
one and with best-of-N references where there is none (arXiv 2503.22230; the order is our choice).
"""

from streams.messages import Question, Route


def route_of(question: Question) -> Route:
    return Route.RTV if question.verifier else Route.GENRM
