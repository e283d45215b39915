"""The files in crds/ against the rules of structural schemas, and against the models."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from controller.api.names import Kind
from controller.tests.api.crd_fields import CRDS, Field, Schema, crd, fields, root, version

GENERATOR = CRDS.parent / "hack" / "gen_crds.py"
YAML_1_1_BOOLEANS = {"y", "n", "yes", "no", "on", "off", "true", "false"}
NOT_STRUCTURAL = {"$ref", "$defs", "allOf", "oneOf", "not", "title", "const", "nullable"}


def _all(kind: Kind) -> list[Field]:
    return [*fields(kind, "spec"), *fields(kind, "status")]


def _generate(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(GENERATOR), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_files_are_what_the_models_say() -> None:
    checked = _generate("--check")

    assert (checked.returncode, checked.stdout) == (0, "")


def test_drift_is_named_with_the_way_out(tmp_path: Path) -> None:
    _generate("--folder", str(tmp_path))
    changed, missing = tmp_path / "k8gentai.dev_agents.yaml", tmp_path / "k8gentai.dev_tools.yaml"
    stray = tmp_path / "k8gentai.dev_crews.yaml"
    changed.write_text(changed.read_text().replace("maximum: 1000", "maximum: 1001"))
    missing.unlink()
    stray.write_text("kind: Crew\n")

    checked = _generate("--check", "--folder", str(tmp_path))

    assert checked.returncode == 1
    assert checked.stdout.splitlines() == [
        f"{path} differs from controller/api; run `python hack/gen_crds.py`"
        for path in (changed, stray, missing)
    ]


def test_writing_leaves_no_stray_file_and_is_the_same_each_time(tmp_path: Path) -> None:
    (tmp_path / "k8gentai.dev_crews.yaml").write_text("kind: Crew\n")

    _generate("--folder", str(tmp_path))

    written = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert written == {path.name: path.read_bytes() for path in CRDS.iterdir()}


@pytest.mark.parametrize("kind", Kind)
def test_schemas_are_structural(kind: Kind) -> None:
    """Kubernetes documentation, "Specifying a structural schema"."""
    assert [str(field) for field in _all(kind) if not _is_structural(field.node)] == []


def _is_structural(node: Schema) -> bool:
    if NOT_STRUCTURAL & node.keys() or {"properties", "additionalProperties"} <= node.keys():
        return False
    if node.get("x-kubernetes-int-or-string"):
        return list(node["anyOf"]) == [{"type": "integer"}, {"type": "string"}]
    if node["type"] == "array":
        return node["x-kubernetes-list-type"] in {"atomic", "set", "map"}
    return node["type"] in {"object", "string", "integer", "boolean"} and "anyOf" not in node


@pytest.mark.parametrize("kind", Kind)
def test_every_field_teaches(kind: Kind) -> None:
    """`kubectl explain` shows nothing but descriptions."""
    silent = [
        str(field)
        for field in _all(kind)
        if not field.path.endswith(("[0]", ".*")) and not field.node["description"].endswith(".")
    ]
    assert silent == []


@pytest.mark.parametrize("kind", Kind)
def test_names_survive_yaml_1_1(kind: Kind) -> None:
    """A property called `on` or `n` becomes a boolean key, and is pruned."""
    names = {name.lower() for field in _all(kind) for name in field.node.get("properties", ())}

    assert names & YAML_1_1_BOOLEANS == set()


@pytest.mark.parametrize("kind", Kind)
def test_everything_a_rule_may_look_at_is_bounded(kind: Kind) -> None:
    """The API server multiplies the longest values and refuses rules that might cost too much."""
    assert [str(field) for field in fields(kind, "spec") if not _is_bounded(field.node)] == []


def _is_bounded(node: Schema) -> bool:
    match node:
        case {"x-kubernetes-int-or-string": True} | {"type": "string"}:
            return bool({"maxLength", "enum"} & node.keys())
        case {"type": "array"}:
            return "maxItems" in node
        case {"type": "integer"}:
            return "maximum" in node
        case {"additionalProperties": _}:
            return "maxProperties" in node
    return True


@pytest.mark.parametrize("kind", Kind)
def test_no_default_is_written_where_it_looks_like_drift(kind: Kind) -> None:
    """In entries of lists, in the status, and beside the members of a union."""
    written = [
        str(field)
        for field in _all(kind)
        if "default" in field.node
        and (field.in_list or field.path.startswith("status") or _is_union(field.node))
    ]
    assert written == []


def _is_union(node: Schema) -> bool:
    return any("exactly one" in rule["message"] for rule in _rules(node))


def _rules(node: Schema) -> list[dict[str, str]]:
    rules: list[dict[str, str]] = node.get("x-kubernetes-validations", [])
    return rules


@pytest.mark.parametrize("kind", Kind)
def test_a_rule_says_which_field_and_points_at_one_that_exists(kind: Kind) -> None:
    pointed = [(field.node, rule) for field in fields(kind, "spec") for rule in _rules(field.node)]

    assert pointed
    for node, rule in pointed:
        path = rule.get("fieldPath", "").removeprefix(".")
        target = node
        for step in path.split(".") if path else ():
            target = target["properties"][step]
        assert (path or "set ") in rule["message"]


@pytest.mark.parametrize(
    ("kind", "columns", "wide"),
    [
        pytest.param(
            Kind.AGENT,
            "Framework Ready Reason Replicas Backlog Age",
            "SpiffeID URL Image",
            id="Agent",
        ),
        pytest.param(Kind.TOOL, "Type Ready Reason Replicas Backlog Tools Age", "Drift", id="Tool"),
        pytest.param(
            Kind.STACK, "Ready Reason Version Providers Available URL Age", "", id="Stack"
        ),
        pytest.param(
            Kind.IDENTITY_POLICY, "Targets Accepted Enforced Age", "", id="IdentityPolicy"
        ),
    ],
)
def test_the_columns_are_those_people_look_for(kind: Kind, columns: str, wide: str) -> None:
    found = version(kind)["additionalPrinterColumns"]

    assert [c["name"] for c in found if "priority" not in c] == columns.split()
    assert [c["name"] for c in found if "priority" in c] == wide.split()


@pytest.mark.parametrize("kind", Kind)
def test_a_column_shows_a_field_that_exists(kind: Kind) -> None:
    paths = {field.path for part in ("spec", "status") for field in fields(kind, part)}
    for column in version(kind)["additionalPrinterColumns"]:
        path = column["jsonPath"].removeprefix(".").replace('[?(@.type=="', "[0]|").split("|")[0]
        assert path in paths or path == "metadata.creationTimestamp"


def test_what_scales_can_be_scaled_by_kubectl() -> None:
    scalable = {kind for kind in Kind if "scale" in version(kind)["subresources"]}

    assert scalable == {Kind.AGENT, Kind.TOOL}
    assert all(version(kind)["subresources"]["status"] == {} for kind in Kind)


def test_one_word_shows_everything_and_short_names_differ() -> None:
    names = [crd(kind)["spec"]["names"] for kind in Kind]
    short = [word for name in names for word in name["shortNames"]]

    assert all(name["categories"] == ["k8gentai"] for name in names)
    assert len(set(short)) == len(short) == len(names)


@pytest.mark.parametrize("kind", Kind)
def test_an_object_needs_a_spec_and_has_a_status(kind: Kind) -> None:
    schema = root(kind)

    assert schema["required"] == ["spec"]
    assert set(schema["properties"]) == {"apiVersion", "kind", "metadata", "spec", "status"}
    assert schema["properties"]["metadata"] == {"type": "object"}


def test_kustomize_finds_all_of_them() -> None:
    listed = yaml.safe_load((CRDS / "kustomization.yaml").read_text())["resources"]

    assert sorted(listed) == sorted(path.name for path in CRDS.glob("k8gentai.dev_*.yaml"))
