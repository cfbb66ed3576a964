"""Makes untrusted text fit for a judge: no role tokens, nothing invisible, bounded length.

Invariant: `clean` only removes characters; a text without forgeries stays as it is, except for the blanks around it.
Forged tokens are searched in the text's skeleton: without invisible characters, and with look-alikes of the delimiters
as ASCII.
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
"""Soft hyphens, zero-width blanks, direction marks, fillers, halves of surrogate pairs, tag characters. The joiners
U+200C and U+200D stay: scripts and emoji are written with them."""
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
    """Removes role tokens of common chat formats, also those that appear once others are removed, invisible characters,
    and blanks at both ends.
    """
    text = _INVISIBLE.sub("", text)
    while (shorter := _remove_role_tokens(text)) != text:
        text = shorter
    return text.strip()


def cut(text: str, max_chars: int) -> tuple[str, int]:
    """Returns at most `max_chars` characters, and the number of missing ones. A longer text keeps its beginning and
    end, which hold what was asked and what was answered, around a line that tells how much is missing.
    """
    missing = len(text) - max_chars
    if missing <= 0:
        return text, 0
    head = 2 * max_chars // 3
    return f"{text[:head]}\n[... {missing} characters left out ...]\n{text[len(text) - (max_chars - head) :]}", missing


def _remove_role_tokens(text: str) -> str:
    kept = [place for place, character in enumerate(text) if character not in _JOINERS]
    skeleton = "".join(text[place] for place in kept).translate(_LOOK_ALIKES)
    parts: list[str] = []
    end = 0
    for found in _TOKENS.finditer(skeleton):
        parts.append(text[end : kept[found.start()]])
        end = kept[found.end() - 1] + 1
    return "".join((*parts, text[end:]))
