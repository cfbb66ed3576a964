"""Token ids and log-probabilities as raw little-endian bytes: int32 and float32, one per token.

Engines give Python's numbers, which `struct` packs in half of numpy's time.
"""

from collections.abc import Sequence
from struct import pack

import numpy as np
import numpy.typing as npt

TOKEN_DTYPE = np.dtype("<i4")
LOGPROB_DTYPE = np.dtype("<f4")


def pack_tokens(token_ids: Sequence[int]) -> bytes:
    return pack(f"<{len(token_ids)}i", *token_ids)


def unpack_tokens(raw: bytes) -> npt.NDArray[np.int32]:
    return np.frombuffer(raw, dtype=TOKEN_DTYPE)


def pack_logprobs(logprobs: Sequence[float]) -> bytes:
    return pack(f"<{len(logprobs)}f", *logprobs)


def unpack_logprobs(raw: bytes) -> npt.NDArray[np.float32]:
    return np.frombuffer(raw, dtype=LOGPROB_DTYPE)
