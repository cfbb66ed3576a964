"""The scorer of a prompt as a word for tables.

Invariant: it follows the router's rule (streams/route_headers.py): a verifier, else the judge with what it has, else
none.
"""

from streams.messages import Question

NONE = "none"


def scorer_name(question: Question) -> str:
    if question.verifier:
        return question.verifier
    if question.ground_truth is not None:
        return "genrm (ground truth)"
    return "genrm (references)" if question.references else NONE
