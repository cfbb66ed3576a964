"""The judge that the settings name."""

from pathlib import Path

from infra.settings.tree import GenRMSettings, RunSettings
from workers.judges.base import Judge
from workers.judges.openai import OpenAIJudge
from workers.judges.prompt import PromptForm


def build_judge(settings: GenRMSettings, prepared: Path | None = None) -> Judge:
    """`prepared` keeps an unpacked demo model. Raises ModelFilesError, OSError or ValueError where the model does not
    load; an endpoint is first met by its first request.
    """
    if settings.backend == "openai":
        return OpenAIJudge(
            settings.endpoint,
            settings.model,
            api_key=settings.api_key,
            timeout_seconds=settings.timeout_seconds,
            form=_form(settings, PromptForm.RUBRIC),
        )
    from workers.judges.hf import HfJudge
    from workers.model_files import resolve_model

    folder = resolve_model(settings.model, prepared or RunSettings().prepared, setting="genrm.model")
    return HfJudge(folder, settings.dtype, settings.threads, _form(settings, PromptForm.SHORT))


def _form(settings: GenRMSettings, default: PromptForm) -> PromptForm:
    return default if settings.prompt == "auto" else PromptForm(settings.prompt)
