"""Texts that say the same in another form become one text.

Invariant: only form goes (case, spaces, invisible characters, the shape of hyphens and apostrophes, one pair of
surrounding quotes, one final full stop), never content.
"""

import re
import unicodedata

_QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’", "«": "»", "`": "`"}
_ARTICLES = re.compile(r"\b(?:a|an|the)\b\s+(?=\S)", re.IGNORECASE)
INVISIBLE = re.compile(
    "[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufe00-\ufe0f\u20e3\ufeff]"
)
_TYPOGRAPHY = str.maketrans({**dict.fromkeys("\u2010\u2011\u2012\u2013\u2212", "-"), "\u2019": "'", "\u2032": "'"})
"""Hyphens, minus signs and apostrophes, which keyboards and word processors choose."""


def normalise(
    text: str, *, ignore_articles: bool = False, keep_punctuation: bool = False, case_sensitive: bool = False
) -> str:
    if not text.isascii():
        text = unicodedata.normalize("NFKC", INVISIBLE.sub("", text)).translate(_TYPOGRAPHY)
    text = " ".join((text if case_sensitive else text.casefold()).split())
    if not keep_punctuation:
        text = _unquoted(text)
        if text.endswith(".") and not text.endswith(".."):
            text = _unquoted(text[:-1].rstrip())
    if ignore_articles:
        text = _ARTICLES.sub("", text).strip()
    return text


def _unquoted(text: str) -> str:
    if len(text) > 1 and _QUOTES.get(text[0]) == text[-1]:
        return text[1:-1].strip()
    return text
