"""Untrusted text as a judge may see it: no role tokens, nothing invisible, bounded length.

Invariant: `clean` removes, and changes nothing that it keeps; a text without forgeries stays as it is, apart from the
blanks around it. Forged tokens are found on the text's skeleton: without invisible characters, look-alikes of the
delimiters as ASCII.
"""

import re

_TOKENS = re.compile(
    r"<\|[^<>|]{0,40}\|>"  # ChatML and Qwen, Llama 3, Phi, Cohere, Harmony (gpt-oss)
    r"|<｜[^<>｜]{0,40}｜>"  # DeepSeek
    r"|</?s>|\[/?INST\]|<</?SYS>>"  # Llama 2, Mistral
    r"|\[/?(?:SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|THINK|IMG|MODEL_SETTINGS)\]"  # Mistral's later ones
    r"|<(?:start|end)_of_turn>|<(?:start|end)_of_image>|<\|?turn\|?>"  # Gemma
    r"|<(?:bos|eos|pad|unk|mask)>"
    r"|\[(?:gMASK|sMASK|MASK|CLS|SEP|PAD|UNK)\]|<(?:sop|eop)>"  # GLM, BERT
    r"|<reserved_special_token_\d{1,4}>|<(?:extra_id|unused)_?\d{1,4}>",  # Llama, T5, Gemma
    re.IGNORECASE,
)
_INVISIBLE = re.compile(
    "[\u00ad\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
"""Soft hyphens, zero-width blanks, directions, fillers, halves of surrogate pairs, tag characters. The joiners U+200C
and U+200D stay: scripts and emoji are written with them."""
_JOINERS = "\u200c\u200d"
_LOOK_ALIKES = {
    **dict.fromkeys(map(ord, "＜‹〈⟨❮˂﹤"), "<"),
    **dict.fromkeys(map(ord, "＞›〉⟩❯˃﹥"), ">"),
    **dict.fromkeys(map(ord, "｜∣❘ǀ│￨⏐"), "|"),
    **dict.fromkeys(map(ord, "［【"), "["),
    **dict.fromkeys(map(ord, "］】"), "]"),
    **dict.fromkeys(map(ord, "／∕"), "/"),
    **dict.fromkeys(map(ord, "＿"), "_"),
}


def clean(text: str) -> str:
    """Without the role tokens of common chat formats, also those that removing one would make, without invisible
    characters, and without blanks around it.
    """
    text = _INVISIBLE.sub("", text)
    while (shorter := _remove_role_tokens(text)) != text:
        text = shorter
    return text.strip()


def cut(text: str, room: int) -> tuple[str, int]:
    """At most `room` characters and one line that says what is missing, and how many are: the beginning and the end of
    a longer text, which hold what was asked and what was answered.
    """
    missing = len(text) - room
    if missing <= 0:
        return text, 0
    head = 2 * room // 3
    return f"{text[:head]}\n[... {missing} characters left out ...]\n{text[len(text) - (room - head) :]}", missing


def _remove_role_tokens(text: str) -> str:
    kept = [place for place, character in enumerate(text) if character not in _JOINERS]
    skeleton = "".join(text[place] for place in kept).translate(_LOOK_ALIKES)
    parts: list[str] = []
    end = 0
    for found in _TOKENS.finditer(skeleton):
        parts.append(text[end : kept[found.start()]])
        end = kept[found.end() - 1] + 1
    return "".join((*parts, text[end:]))
