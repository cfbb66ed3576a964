"""The chart as Helm renders it, without a cluster."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

import infra.helm

_MISSING = "infra/requirements/chart.txt is not installed"
HELM = pytest.importorskip("helm_python", reason=_MISSING)
KUBERNETES_SCHEMAS = pytest.importorskip("kubernetes_validate.utils", reason=_MISSING)

CHART = Path(infra.helm.__file__).parent / "rewardstream"
VALUES = sorted(CHART.glob("values-*.yaml"))
RELEASE, NAMESPACE = "team-a", "training"
LEAST = {"kafka": {"bootstrapServers": "kafka:9092"}, "database": {"url": "postgresql+psycopg://r@db:5432/r"}}
"""What the chart asks for."""

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rendered:
    values: dict[str, Any]
    """All values, those of the file over the chart's own."""
    objects: tuple[Object, ...]

    def of_kind(self, *kinds: str) -> list[Object]:
        return [item for item in self.objects if item["kind"] in kinds]

    def pods(self) -> Iterator[tuple[str, Object]]:
        """Yields (component, template of a pod), with metadata and spec."""
        for item in self.of_kind("Deployment", "Job", "StatefulSet"):
            template = item["spec"]["template"]
            yield template["metadata"]["labels"]["app.kubernetes.io/component"], template

    def pod(self, component: str) -> Object:
        return dict(self.pods())[component]

    def settings_toml(self) -> str:
        (found,) = [item for item in self.of_kind("ConfigMap") if item["metadata"]["name"].endswith("-settings")]
        text: str = found["data"]["settings.toml"]
        return text


def render(values: dict[str, Any], release: str = RELEASE) -> Rendered:
    """Raises HelmRenderError, HelmValuesError."""
    with HELM.Chart.load(CHART) as chart:
        files = chart.render(values=values, name=release, namespace=NAMESPACE)
        merged = chart.merge_values(values)
    objects = [
        item
        for name, text in files.items()
        if name.endswith(".yaml")
        for item in yaml.safe_load_all(text)
        if item is not None
    ]
    return Rendered(merged, tuple(objects))


@cache
def rendered(file: Path) -> Rendered:
    return render(yaml.safe_load(file.read_text(encoding="utf-8")))
