"""Every object of every values file is one that its API takes.

Kubernetes' own kinds are checked with its schemas. Those of Strimzi, KEDA and the Prometheus operator come with their
installation, so custom_resources.yaml describes the fields that the chart uses, after strimzi-kafka-operator's
install/cluster-operator (API v1), keda's config/crd/bases and prometheus-operator's example/prometheus-operator-crd.
"""

from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from referencing import Registry, Resource
from support.helm.rendered_chart import CHART, HELM, KUBERNETES_SCHEMAS, LEAST, VALUES, Object, render, rendered

OWN = yaml.safe_load((Path(__file__).parent / "custom_resources.yaml").read_text(encoding="utf-8"))
KUBERNETES = [
    f"v{version}-local-strict"
    for version in KUBERNETES_SCHEMAS.all_versions()
    if version.startswith(("1.31.", "1.37."))
]
"""The oldest version that Chart.yaml allows, and the newest; strict: an unknown field is an error."""


@cache
def definitions(version: str) -> Registry[Any]:
    file = f"kubernetes-json-schema/{version}/_definitions.json"
    return Resource.from_contents(KUBERNETES_SCHEMAS.schema_contents(file, version)) @ Registry()


@cache
def validator_of(version: str, kind: str, api: str) -> Any:
    """`kubernetes_validate.validate` reads the same files, for each object anew: a thousand times the time."""
    schema = KUBERNETES_SCHEMAS.schema_contents(f"kubernetes-json-schema/{version}/{kind.lower()}-{api}.json", version)
    return jsonschema.Draft202012Validator(schema, registry=Resource.from_contents(schema) @ definitions(version))


def problems(item: Object) -> list[str]:
    own = OWN.get(f"{item['apiVersion']} {item['kind']}")
    if own is not None:
        validators = [jsonschema.Draft202012Validator({**own, "$defs": OWN["$defs"]})]
    else:
        group, slash, number = item["apiVersion"].partition("/")
        api = f"{group.partition('.')[0]}-{number}" if slash else group
        validators = [validator_of(version, item["kind"], api) for version in KUBERNETES]
    return [f"{error.json_path}: {error.message}" for check in validators for error in check.iter_errors(item)]


@pytest.mark.parametrize("file", VALUES, ids=lambda file: file.stem)
def test_every_object_is_valid(file: Path) -> None:
    found = {f"{item['kind']} {item['metadata']['name']}": problems(item) for item in rendered(file).objects}
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize("file", VALUES, ids=lambda file: file.stem)
def test_no_two_objects_have_one_name(file: Path) -> None:
    names = [(item["kind"], item["metadata"]["name"]) for item in rendered(file).objects]
    assert len(names) == len(set(names))
    assert all(name.startswith("team-a") for _, name in names)
    assert all(len(name) <= 63 for _, name in names)


@pytest.mark.parametrize("file", VALUES, ids=lambda file: file.stem)
def test_helm_finds_nothing_to_say(file: Path) -> None:
    report = HELM.lint(CHART, yaml.safe_load(file.read_text(encoding="utf-8")), strict=True)
    assert report["errors"] == []
    assert [message["error"] for message in report["messages"] if message["severity"] > 1] == []


def test_every_kind_of_custom_resource_is_rendered_by_an_example() -> None:
    kinds = {f"{item['apiVersion']} {item['kind']}" for file in VALUES for item in rendered(file).objects}
    assert OWN.keys() - kinds == {"$defs"}


@pytest.mark.parametrize("change", ["replcas", "unknown"])
def test_an_unknown_field_is_found(change: str) -> None:
    deployment = next(item for item in render(LEAST).objects if item["kind"] == "Deployment")
    assert problems(deployment) == []
    assert problems({**deployment, "spec": {**deployment["spec"], change: 1}})
    topic = next(item for item in rendered(CHART / "values-one-node.yaml").objects if item["kind"] == "KafkaTopic")
    assert problems({**topic, "spec": {**topic["spec"], change: 1}})


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"kafka": {"bootstrapServers": ""}}, "kafka.bootstrapServers is empty"),
        ({"database": {"url": ""}}, "database.url is empty"),
        ({"strimzi": {"cluster": {"create": True}}}, "set strimzi.users.create"),
        ({"judge": {"enabled": True}}, "judge.model is empty"),
        ({"reciep": "production"}, "reciep"),
        ({"services": {"rvt": {"enabled": True}}}, "rvt"),
        ({"services": {"rtv": {"replica": 3}}}, "replica"),
        ({"kafka": {"protocol": "SASL"}}, "protocol"),
        ({"database": {"url": "postgresql+psycopg://r:secret@db:5432/r"}}, "url"),
        ({"settings": {"broker": {"security": {"password": "secret"}}}}, "password"),
        ({"settings": {"genrm": {"api_key": "secret"}}}, "api_key"),
        ({"services": {"rtv": {"autoscaling": {"enabled": True, "minReplicas": 0}}}}, "minReplicas"),
    ],
)
def test_values_that_cannot_work_are_refused(values: Object, says: str) -> None:
    merged = {**LEAST, **values}
    for section in LEAST.keys() & values.keys():
        merged[section] = {**LEAST[section], **values[section]}
    with pytest.raises(HELM.HelmError, match=says):
        render(merged)
