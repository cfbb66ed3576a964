"""The final answers that a response commits to, as text: boxes, `#### 7`, `the answer is 7`, or the whole text.

Invariant: nothing is guessed. A text that gives several values without saying which is final has no final answer,
and neither has one that hedges.
"""

import re

from workers.verifiers.numbers import read_number

MAX_TEXT = 200_000
"""Characters after the reasoning; a longer text is not searched."""

_ANCHOR = re.compile(r"(?:####|\b(?:final\s+)?answer\s*(?::|=|\bis\b)\s*:?)\s*", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[.!?;](?=\s)")
_EMPHASIS = re.compile(r"\*\*|__|`+")
_HEDGE = re.compile(
    r"\b(?:or|either|neither|maybe|perhaps|possibly|probably|might|could|not|unless|unsure|between)\b|n't\b|n’t\b",
    re.IGNORECASE,
)
_ENVIRONMENT = re.compile(r"\$\$(.+?)\$\$|(?<!\\)\$([^$\n]+?)(?<!\\)\$|\\\((.+?)\\\)|\\\[(.+?)\\\]", re.DOTALL)
_BRACES = re.compile(r"\\f?boxed\s*\{|[{}]")
_CHAIN = re.compile(
    r"(?<![\w.])[-+]?(?:\\?[$€£])?-?(?:\d[\d,]*(?:\.\d+)?|\.\d+)(?:\s*\\?%)?"
    r"(?:\s*[-+*/^=×÷]\s*\(?[-+]?(?:\d[\d,]*(?:\.\d+)?|\.\d+)\)?(?:\s*\\?%)?)*"
    r"(?:\s+(?:hundred|thousand|million|billion|trillion|dozen|squared|cubed|factorial|pi)\b)?"
)
_WORD = re.compile(r"(?<!\\)[A-Za-z]{2,}")
_MATHS_WORDS = frozenset(
    [
        *(
            "sin",
            "cos",
            "tan",
            "cot",
            "sec",
            "csc",
            "log",
            "ln",
            "exp",
            "sqrt",
            "pi",
            "max",
            "min",
            "gcd",
            "lcm",
            "mod",
        ),
        *("infinity", "and", "or", "in"),
    ]
)


class NoAnswerError(ValueError):
    """The text commits to no final answer; the message says why."""


def final_answers(text: str) -> list[str]:
    """Every final answer that the text gives; all of them must agree for it to be right. Raises NoAnswerError."""
    if len(text) > MAX_TEXT:
        raise NoAnswerError(f"{len(text)} characters are more than {MAX_TEXT}")
    text = _EMPHASIS.sub("", text.replace("\N{MINUS SIGN}", "-")).strip()
    if not text:
        raise NoAnswerError("nothing stands after the reasoning")
    boxes = boxed(text)
    anchored = [clause for line in text.split("\n") for part in _ANCHOR.split(line)[1:] if (clause := _clause(part))]
    if boxes:
        return boxes + [value for clause in anchored if "\\boxed" not in clause for value in _one_value(clause)]
    if anchored:
        return [value for clause in anchored for value in _committed(clause)]
    return _committed(_clause(text) if "\n" not in text else text)


def boxed(text: str) -> list[str]:
    r"""Contents of each outermost `\boxed{...}`. Raises NoAnswerError where one is empty or does not close."""
    found = []
    depth = start = 0
    for match in _BRACES.finditer(text):
        if depth:
            depth += -1 if match.group() == "}" else 1
            if not depth:
                found.append(text[start : match.start()].strip())
        elif match.group().startswith("\\"):
            depth, start = 1, match.end()
    if depth:
        raise NoAnswerError("a \\boxed{ does not close")
    if "" in found:
        raise NoAnswerError("a \\boxed{} is empty")
    return found


def _clause(text: str) -> str:
    """Up to the end of the sentence, without its mark."""
    end = _SENTENCE_END.search(text)
    return (text[: end.start()] if end and not _ENVIRONMENT.search(text) else text).strip().rstrip(".").strip()


def _committed(text: str) -> list[str]:
    """Raises NoAnswerError."""
    if is_expression(text):
        return [text]
    if _HEDGE.search(text):
        raise NoAnswerError("the answer is hedged")
    values = _values(text)
    if not values:
        raise NoAnswerError("no value is given")
    return values


def _one_value(clause: str) -> list[str]:
    """A clause beside a box counts where it plainly is one value; other prose about "the answer" does not."""
    return [clause] if is_expression(clause) else []


def is_expression(text: str) -> bool:
    """Mathematics as a whole: no words but functions, and no second environment."""
    if len(_ENVIRONMENT.findall(text)) > 1 or "\n" in text:
        return False
    if read_number(text) is not None:
        return True
    bare = re.sub(r"\\(?:text|mathrm|textrm)\{[^{}]*\}|\\[A-Za-z]+", " ", text)
    return bool(text) and all(word.casefold() in _MATHS_WORDS for word in _WORD.findall(bare))


def _values(text: str) -> list[str]:
    """Environments, and chains of numbers (`7 + 4 = 11`) outside them."""
    values = [next(filter(None, match.groups())) for match in _ENVIRONMENT.finditer(text)]
    return values + [match.group().strip() for match in _CHAIN.finditer(_ENVIRONMENT.sub(" ; ", text))]
