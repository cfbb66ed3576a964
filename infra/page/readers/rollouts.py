"""Reads one rollout: its text, tokens, verdicts, what was expected, and where it led."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from infra.advice.story import UnknownNameError, read_group
from infra.page.models.tokens import Decode, TokenStrip, strip_of
from infra.page.readers.groups import story_values
from infra.page.readers.rollout_log import RolloutLog
from infra.page.readers.shown_run import ShownRun
from streams.messages import Rollout


def read_rollout(run: ShownRun, log: RolloutLog, decode: Decode | None, seq: int, index: int) -> dict[str, Any]:
    """Raises UnknownNameError."""
    with run.engine.connect() as connection:
        story = read_group(connection, run.folder, run.settings, seq)
    if index >= story.samples:
        raise UnknownNameError(f"group {story.group_id} has {story.samples} responses: 0 to {story.samples - 1}")
    rollout_id = f"{story.group_id}/{index}"
    verdicts = story.of(rollout_id)
    rollout, missing = log.find(rollout_id)
    text = next((one.text for one in verdicts if one.text is not None), None if rollout is None else rollout.text)
    values = story_values(story, run.settings)
    del values["verdicts"]
    return values | {
        "rollout_id": rollout_id,
        "index": index,
        "verdicts": [asdict(one) for one in verdicts],
        "text": text,
        "made": None if rollout is None else _made(rollout),
        "strip": None if rollout is None else _strip(rollout, decode, run),
        "strip_missing": missing,
    }


def _strip(rollout: Rollout, decode: Decode | None, run: ShownRun) -> TokenStrip:
    return strip_of(rollout, decode, mask_cut_off=run.settings.learner.overlong.mask)


def _made(rollout: Rollout) -> Mapping[str, Any]:
    """How it was generated."""
    return {
        "engine": rollout.engine,
        "finish_reason": rollout.finish_reason,
        "temperature": rollout.sampling.temperature,
        "top_p": rollout.sampling.top_p,
        "max_new_tokens": rollout.sampling.max_new_tokens,
        "waited_seconds": rollout.timings.started - rollout.timings.dispatched,
        "generated_seconds": rollout.timings.finished - rollout.timings.started,
        "spans": [{"lineage": s.lineage, "version": s.version, "tokens": s.tokens} for s in rollout.spans],
    }
