"""The whole mask of a packed row, for comparison: it takes L x L, so only small rows."""

import torch
from torch import Tensor

from workers.models.shared_prefix import PackedRow


def tree_mask(row: PackedRow, window: int | None = None) -> Tensor:
    """bool [1, 1, L, L], as transformers' models take it; entry (i, j) says whether token i attends to token j."""
    owners = torch.empty(len(row.input_ids), 2, dtype=torch.long)
    for group, (prefix, suffixes) in enumerate(zip(row.prefix_slices, row.suffix_slices, strict=True)):
        for segment, where in enumerate([prefix, *suffixes]):
            owners[where] = torch.tensor([group, segment])
    group, segment = owners.unbind(dim=1)
    same_group = group[:, None] == group[None, :]
    visible = (segment[None, :] == 0) | (segment[:, None] == segment[None, :])
    mask = (same_group & visible).tril()
    if window is not None:
        mask &= row.position_ids[:, None] - row.position_ids[None, :] < window
    return mask[None, None]
