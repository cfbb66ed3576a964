"""The part of a response that counts: what follows its reasoning.

Invariant: reasoning never counts. If it is not certain that the reasoning ended, nothing counts.
"""

import re

_NAME = r"(?:seed:)?(?:think|thinking|thoughts?|reasoning|scratchpad)"
_TAG = re.compile(  # every repeat is bounded, so that no text makes the search quadratic
    rf"<\s{{0,3}}(?P<xml>/?)\s{{0,3}}{_NAME}(?:\s[^<>]{{0,200}})?>"
    r"|\[(?P<bracket>/?)think\]"
    r"|◁(?P<triangle>/?)think▷"
    r"|<\|(?P<pipe>begin_of_|end_of_|start_|end_)(?:thought|thinking|reasoning)\|>",
    re.IGNORECASE,
)
_WORDS = ("think", "thought", "reasoning", "scratchpad")
"""Each tag holds one of them."""
_CHANNEL = re.compile(
    r"<\|channel\|>\s{0,3}(?P<name>\w{1,40})[^<]{0,200}(?:<\|constrain\|>[^<]{0,200})?<\|message\|>", re.IGNORECASE
)
_CHANNEL_END = re.compile(r"<\|(?:return|end|call|start)\|>", re.IGNORECASE)
_BARE_CHANNELS = re.compile(r"\s*analysis(?=\S).*assistantfinal(?P<final>.*)\Z", re.DOTALL)
"""The channels of a decoder that drops special tokens: `analysisWe add...assistantfinal7`."""


def after_reasoning(response: str) -> str:
    """Returns what follows the last reasoning block, stripped; an unclosed block leaves nothing.

    Blocks are `<think>`, `<thinking>`, `<thought>`, `<reasoning>` and `<scratchpad>` in any case, also as
    `[THINK]`, `◁think▷`, `<|begin_of_thought|>`; and every channel but `final` of `<|channel|>final<|message|>`. A
    closing tag needs no opening tag, because chat templates often put that into the prompt. The last of several closing
    tags counts: one that is forged or quoted within the reasoning brings nothing of it into the answer if the true one
    follows.
    """
    if "<|" in response and "<|channel|>" in response.casefold():
        return _final_channel(response)
    bare = _BARE_CHANNELS.match(response) if "assistantfinal" in response else None
    if bare:
        return bare["final"].strip()
    last = _last(_TAG, response) if _may_hold_tag(response) else None
    if last is None:
        return response.strip()
    return response[last.end() :].strip() if _closes(last) else ""


def _may_hold_tag(response: str) -> bool:
    """A quick test that excludes most responses without a tag."""
    if not response.isascii():  # the pattern ignores case, in which letters beyond ASCII may be i, k or s
        return True
    if "<" not in response and "[" not in response:
        return False
    lower = response.lower()
    return any(map(lower.__contains__, _WORDS))


def _closes(tag: re.Match[str]) -> bool:
    pipe = tag["pipe"]
    return pipe.casefold().startswith("end") if pipe else "/" in (tag["xml"], tag["bracket"], tag["triangle"])


def _final_channel(response: str) -> str:
    """Returns nothing if another channel is the last, or if none is named."""
    last = _last(_CHANNEL, response)
    if last is None or last["name"].casefold() != "final":
        return ""
    rest = response[last.end() :]
    end = _CHANNEL_END.search(rest)
    return (rest[: end.start()] if end else rest).strip()


def _last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    found = None
    for match in pattern.finditer(text):
        found = match
    return found
