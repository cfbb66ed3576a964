"""The settings tree and its loader."""

from infra.settings.tree import Settings

__all__ = ["Settings"]
