"""A folder of manifests is read as strictly as an API server would."""

import re
from pathlib import Path

import pytest

from controller.api.names import Kind
from controller.local.manifests import MOST_TOLD, BadManifest, read_manifests
from controller.model import Key
from runtime.contract.value import ObjectName

TOOL = """
apiVersion: k8gentai.dev/v1alpha1
kind: Tool
metadata: {name: add}
spec:
  stackRef: {name: default}
  python: {entrypoint: "arithmetic:add"}
"""


def folder(tmp_path: Path, **texts: str) -> Path:
    for name, text in texts.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    return tmp_path


def test_objects_are_known_by_kind_namespace_and_name(tmp_path: Path) -> None:
    found = read_manifests(folder(tmp_path, tool=TOOL))
    assert list(found.objects) == [Key(Kind.TOOL, "default", "add")]


def test_an_object_keeps_its_uid_from_start_to_start(tmp_path: Path) -> None:
    key = Key(Kind.TOOL, "default", "add")
    first = read_manifests(folder(tmp_path, tool=TOOL)).objects[key]["metadata"]["uid"]
    again = read_manifests(tmp_path).objects[key]["metadata"]["uid"]
    other = read_manifests(folder(tmp_path, tool=TOOL.replace("name: add", "name: sub")))
    assert first == again
    assert first not in {body["metadata"]["uid"] for body in other.objects.values()}


def test_config_maps_and_secrets_are_read_too(tmp_path: Path) -> None:
    more = (
        "kind: ConfigMap\nmetadata: {name: code}\ndata: {a.py: 'x = 1'}\n---\n"
        "kind: Secret\nmetadata: {name: key}\ndata: {token: c2VjcmV0}\n"
        "stringData: {b: plain}\n"
    )
    found = read_manifests(folder(tmp_path, more=more))
    assert found.config_maps == {ObjectName(namespace="default", name="code"): {"a.py": "x = 1"}}
    assert found.secrets == {
        ObjectName(namespace="default", name="key"): {"token": "secret", "b": "plain"}
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("a: [", ["is no YAML"], id="no YAML"),
        pytest.param("a: 1", ["no kind"], id="no kind"),
        pytest.param("kind: Tool", ["metadata.name is required"], id="no name"),
        pytest.param(
            "apiVersion: v1\nkind: Pod\nmetadata: {name: x}", ["Pod x", "knows Stack"], id="a Pod"
        ),
        pytest.param(
            TOOL.replace("v1alpha1", "v9"), ["Tool add", "apiVersion"], id="another version"
        ),
        pytest.param(
            TOOL.replace("python:", "pyton:"), ["Tool add", "spec"], id="a slip of the pen"
        ),
        pytest.param(
            TOOL.replace("entrypoint:", "entrypoints: 1, entrypoint:"),
            ["spec.python.entrypoints", "no such field"],
            id="an unknown field",
        ),
        pytest.param(f"{TOOL}---{TOOL}", ["stands there twice"], id="twice in one file"),
    ],
)
@pytest.mark.fault(18)
def test_what_an_api_server_would_refuse_names_file_and_field(
    tmp_path: Path, text: str, words: list[str]
) -> None:
    folder(tmp_path, bad=text)
    with pytest.raises(BadManifest) as refused:
        read_manifests(tmp_path)
    assert all(word in str(refused.value) for word in ["bad.yaml", *words])


def test_the_mistakes_of_all_files_are_told_together(tmp_path: Path) -> None:
    place = folder(
        tmp_path,
        a="a: [",
        b=f"{TOOL.replace('python:', 'pyton:')}---\nkind: Tool\n",
        c=TOOL.replace("kind: Tool", "kind: Tol"),
        d="kind: Tol\nmetadata: {name: x}",
        kustomization="resources: [e.yaml]",
    )
    with pytest.raises(BadManifest) as refused:
        read_manifests(place)
    first, *told = str(refused.value).split("\n  ")
    assert first == "6 mistakes"
    for line, (file, word) in zip(
        told,
        [
            ("kustomization", "resources: e.yaml"),
            ("a", "is no YAML"),
            ("b", "spec.pyton: there is no such field; did you mean python?"),
            ("b", "metadata.name is required"),
            ("c", "not 'Tol'; did you mean Tool?"),
            ("d", "nothing else; did you mean Tool?"),
        ],
        strict=True,
    ):
        assert line.startswith(f"{place / file}.yaml: ")
        assert word in line


def test_of_very_many_mistakes_the_first_are_told(tmp_path: Path) -> None:
    many = folder(tmp_path, **{f"f{number:02}": "a: 1" for number in range(MOST_TOLD + 3)})
    with pytest.raises(BadManifest) as refused:
        read_manifests(many)
    lines = str(refused.value).splitlines()
    assert (lines[0], lines[-1], len(lines)) == ("23 mistakes", "  and 3 more", MOST_TOLD + 2)


def test_an_object_in_two_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadManifest, match=r"b\.yaml: Tool add stands in .*a\.yaml too"):
        read_manifests(folder(tmp_path, a=TOOL, b=TOOL))


def test_a_kustomization_of_all_the_files_beside_it_adds_nothing(tmp_path: Path) -> None:
    place = folder(tmp_path, tool=TOOL)
    folder(tmp_path, kustomization="kind: Kustomization\nresources: [tool.yaml]\n")
    assert list(read_manifests(place).objects) == [Key(Kind.TOOL, "default", "add")]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        pytest.param("resources: [../quickstart]", "resources: ../quickstart", id="overlay"),
        pytest.param("resources: [tool.yaml]\npatches: []", "patches", id="patches"),
        pytest.param("resources: []", "tool.yaml is not among them", id="a file left out"),
        pytest.param("- 1", "is no kustomization", id="a list"),
    ],
)
def test_an_overlay_is_refused_and_not_ignored(tmp_path: Path, text: str, word: str) -> None:
    with pytest.raises(BadManifest, match=f"kustomization.yaml: .*{re.escape(word)}"):
        read_manifests(folder(tmp_path, tool=TOOL, kustomization=text))


GENERATED = """
resources: [tool.yaml]
generatorOptions: {disableNameSuffixHash: true}
configMapGenerator:
- {name: arithmetic, files: [arithmetic.py, more.py=sub/other.py]}
"""


def test_code_may_stand_in_files_of_its_own(tmp_path: Path) -> None:
    place = folder(tmp_path, tool=TOOL, kustomization=GENERATED)
    (place / "sub").mkdir()
    (place / "arithmetic.py").write_text("x = 1\n")
    (place / "sub" / "other.py").write_text("y = 2\n")
    found = read_manifests(place)
    name = ObjectName(namespace="default", name="arithmetic")
    assert found.config_maps == {name: {"arithmetic.py": "x = 1\n", "more.py": "y = 2\n"}}
    (place / "arithmetic.py").write_text("x = 3\n")
    assert read_manifests(place).digest != found.digest


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("true", "false", "generatorOptions.disableNameSuffixHash: must be true"),
        ("arithmetic.py,", "../a.py,", "configMapGenerator[0].files: ../a.py: must be a file of"),
        ("files: [", "envs: [a], files: [", "configMapGenerator[0].envs: embedded mode knows"),
        ("name: arithmetic, ", "", "configMapGenerator[0]: name is required"),
        ("arithmetic.py,", "nothere.py,", "nothere.py: cannot be read"),
    ],
)
def test_a_generator_that_does_more_is_refused(
    tmp_path: Path, old: str, new: str, word: str
) -> None:
    place = folder(tmp_path, tool=TOOL, kustomization=GENERATED.replace(old, new))
    (place / "arithmetic.py").touch()
    with pytest.raises(BadManifest, match=re.escape(word)):
        read_manifests(place)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadManifest, match="there is no such folder"):
        read_manifests(tmp_path / "nope")


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadManifest, match="no YAML file"):
        read_manifests(tmp_path)
