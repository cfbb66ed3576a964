"""The look of the project's pictures: colours, thin grids, no frames; drawn off screen as PNG bytes."""

import io

from matplotlib.axes import Axes
from matplotlib.figure import Figure

_DPI = 160
INK, MUTED, GRID = "#1f2933", "#7b8794", "#e4e7eb"
_COLOURS = ("#2f6fde", "#e07b39", "#2a9d6f", "#8e5bd0", "#c2395b", "#6b7280", "#b58900", "#0e9aa7")


def colour_of(index: int) -> str:
    return _COLOURS[index % len(_COLOURS)]


def png(figure: Figure, *all_axes: Axes) -> bytes:
    for axes in all_axes:
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(GRID)
        axes.tick_params(colors=MUTED, labelsize=8, length=0)
        axes.grid(color=GRID, linewidth=0.7)
        axes.set_axisbelow(True)
        axes.title.set_color(INK)
        axes.xaxis.label.set_color(MUTED)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI)
    return buffer.getvalue()
