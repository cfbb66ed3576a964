"""The text of each token, by the tokenizer of the run's policy.

Invariant: the texts of a sequence, put together, are what the tokenizer decodes the sequence to; no model is loaded.
"""

from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream

from infra.settings.tree import Settings

_FILE = "tokenizer.json"


class TokenTexts:
    """Call it with token ids; it returns as many texts."""

    def __init__(self, file: Path) -> None:
        self._tokenizer = Tokenizer.from_file(str(file))

    def __call__(self, ids: Sequence[int]) -> list[str]:
        stream = DecodeStream(skip_special_tokens=False)
        return [stream.step(self._tokenizer, one) or "" for one in ids]


def find_token_texts(settings: Settings, folder: Path) -> TokenTexts | None:
    """With the tokenizer of the newest published version, else of the model that the run began with; None if neither
    has one as a file.
    """
    published = sorted((folder / "versions").glob(f"*/{_FILE}"), reverse=True)
    for file in (*published[:1], Path(settings.model.path) / _FILE):
        if file.is_file():
            return TokenTexts(file)
    return None
