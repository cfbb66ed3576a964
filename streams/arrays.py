"""Token ids and log-probabilities as raw little-endian bytes: int32 and float32, one per token."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

TOKEN_DTYPE = np.dtype("<i4")
LOGPROB_DTYPE = np.dtype("<f4")


def pack_tokens(token_ids: Sequence[int]) -> bytes:
    return np.asarray(token_ids, dtype=TOKEN_DTYPE).tobytes()


def unpack_tokens(raw: bytes) -> npt.NDArray[np.int32]:
    return np.frombuffer(raw, dtype=TOKEN_DTYPE)


def pack_logprobs(logprobs: Sequence[float]) -> bytes:
    return np.asarray(logprobs, dtype=LOGPROB_DTYPE).tobytes()


def unpack_logprobs(raw: bytes) -> npt.NDArray[np.float32]:
    return np.frombuffer(raw, dtype=LOGPROB_DTYPE)
