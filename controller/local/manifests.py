"""The manifests of a folder, read as kubectl would read them: strictly, and by name."""

import base64
import contextlib
import hashlib
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import yaml

from controller.api.names import Kind
from controller.api.parse import InvalidSpec, did_you_mean, model_of, parse_strictly
from controller.local.kustomization import BadGenerator, generated
from controller.model import Key, Manifest
from runtime.contract.value import ObjectName

DEFAULT_NAMESPACE: Final = "default"
PLAIN_KINDS: Final = ("ConfigMap", "Secret", "Namespace")
KUSTOMIZATION: Final = ("kustomization.yaml", "kustomization.yml")
UNDERSTOOD: Final = frozenset(
    {"apiVersion", "kind", "metadata", "resources", "configMapGenerator", "generatorOptions"}
)
"""What embedded mode honours of a kustomization; overlays are kubectl's business."""
MOST_TOLD: Final = 20
"""How many mistakes of a folder are told at once."""
_NAMES: Final = uuid.UUID("6f1c5a0e-97f2-4a2b-9d0a-3f1b2c4d5e6f")


class BadManifest(ValueError):
    """A file cannot be used; the message names the file, the object, the field and the way out."""


@dataclass(frozen=True, slots=True)
class Manifests:
    """Everything a folder says, at one moment.

    Shape:
        objects      of our kinds, with `metadata.uid`, namespace and creation time filled in.
        config_maps  text by key; `secrets` likewise, already decoded.
        digest       of all that was read.
    """

    objects: Mapping[Key, Manifest]
    config_maps: Mapping[ObjectName, Mapping[str, str]]
    secrets: Mapping[ObjectName, Mapping[str, str]]
    namespaces: Mapping[str, Mapping[str, str]]
    digest: str


def read_manifests(folder: Path, now: datetime | None = None) -> Manifests:
    """Everything that the YAML files directly in `folder` (or the one file) say.

    Raises:
        BadManifest: files are not readable, no YAML, or not what an API server would take; the
            message tells the mistakes of all of them.
    """
    files, plans = _files(folder)
    found, mistakes, texts = _Found(now or datetime.now(UTC)), _Mistakes(), dict[Path, str]()
    for plan in plans:
        with mistakes.kept():
            _check_plan(plan, {file.name for file in files})
    for file in files:
        with mistakes.kept():
            texts[file] = _text(file)
            for document in _documents(file, texts[file]):
                with mistakes.kept():
                    found.take(file, document)
    for plan in plans:
        with mistakes.kept():
            for document in _generated(plan):
                found.take(plan, document)
                texts[plan] = texts.get(plan, "") + repr(document)
    mistakes.tell()
    return Manifests(
        objects=found.objects,
        config_maps=found.config_maps,
        secrets=found.secrets,
        namespaces=found.namespaces,
        digest=hashlib.sha256("\0".join(texts.values()).encode()).hexdigest(),
    )


class _Mistakes:
    """What is wrong with a folder, one by one, to be told together."""

    def __init__(self) -> None:
        self._told: dict[str, None] = {}

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Keep the mistake that the body finds, and go on after it."""
        try:
            yield
        except BadManifest as mistake:
            self._told[str(mistake)] = None

    def tell(self) -> None:
        """Raise all of them as one, if there are any."""
        told, left = list(self._told)[:MOST_TOLD], len(self._told) - MOST_TOLD
        if len(told) > 1:
            more = [f"and {left} more"] if left > 0 else []
            told = ["\n  ".join([f"{len(self._told)} mistakes", *told, *more])]
        if told:
            raise BadManifest(told[0])


class _Found:
    def __init__(self, now: datetime) -> None:
        self._now = now
        self._origin: dict[tuple[str, str, str], Path] = {}
        self.objects: dict[Key, Manifest] = {}
        self.config_maps: dict[ObjectName, Mapping[str, str]] = {}
        self.secrets: dict[ObjectName, Mapping[str, str]] = {}
        self.namespaces: dict[str, Mapping[str, str]] = {}

    def take(self, file: Path, document: Any) -> None:
        """Keep one document."""
        if not isinstance(document, dict) or "kind" not in document:
            raise BadManifest(f"{file}: a document has no kind; every object needs one")
        kind, metadata = document["kind"], document.get("metadata") or {}
        name, namespace = metadata.get("name"), metadata.get("namespace", DEFAULT_NAMESPACE)
        if not isinstance(name, str):
            raise BadManifest(f"{file}: {kind}: metadata.name is required")
        self._once(file, kind, namespace, name)
        if kind in PLAIN_KINDS:
            self._plain(kind, ObjectName(namespace=namespace, name=name), document)
        else:
            self._ours(file, document, namespace, name)

    def _once(self, file: Path, kind: str, namespace: str, name: str) -> None:
        before = self._origin.get((kind, namespace, name))
        if before is not None:
            where = "there twice" if before == file else f"in {before} too"
            raise BadManifest(f"{file}: {kind} {name} stands {where}; leave one of them")
        self._origin[kind, namespace, name] = file

    def _plain(self, kind: str, name: ObjectName, document: Mapping[str, Any]) -> None:
        text = {key: str(value) for key, value in (document.get("data") or {}).items()}
        match kind:
            case "ConfigMap":
                self.config_maps[name] = text
            case "Secret":
                self.secrets[name] = _decoded(text) | (document.get("stringData") or {})
            case _:
                self.namespaces[name.name] = document["metadata"].get("labels") or {}

    def _ours(self, file: Path, document: dict[str, Any], namespace: str, name: str) -> None:
        where = f"{file}: {document['kind']} {name}"
        try:
            model = model_of(document)
            if model is None:
                kinds = [*Kind, *PLAIN_KINDS]
                raise BadManifest(
                    f"{where}: embedded mode knows {', '.join(kinds)} and nothing else"
                    f"{did_you_mean(document['kind'], kinds)}"
                )
            parse_strictly(model, document)
        except InvalidSpec as error:
            raise BadManifest(f"{where}: {error}") from error
        key = Key(Kind(document["kind"]), namespace, name)
        given = document.get("metadata") or {}
        metadata = {
            **given,
            "namespace": namespace,
            # The same object has the same uid at the next start, so its queue is still its own.
            "uid": str(uuid.uuid5(_NAMES, str(key))),
            "creationTimestamp": self._now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        self.objects[key] = {**document, "metadata": metadata}


def _files(folder: Path) -> tuple[list[Path], list[Path]]:
    """The files with manifests, and the kustomizations."""
    if folder.is_file():
        return [folder], []
    if not folder.is_dir():
        raise BadManifest(f"{folder}: there is no such folder; name a folder with manifests")
    found = sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")])
    files = [file for file in found if file.name not in KUSTOMIZATION]
    plans = [plan for plan in found if plan.name in KUSTOMIZATION]
    if not files:
        raise BadManifest(f"{folder}: there is no YAML file; name a folder with manifests")
    return files, plans


def _generated(plan: Path) -> list[Manifest]:
    """The ConfigMaps that a kustomization makes of other files."""
    try:
        return list(generated(_plan(plan), lambda path: _text(plan.parent / path)))
    except BadGenerator as error:
        raise BadManifest(f"{plan}: {error}") from error


def _plan(plan: Path) -> dict[str, Any]:
    said = next(_documents(plan, _text(plan)), None)
    if not isinstance(said, dict):
        raise BadManifest(f"{plan}: is no kustomization; delete it, or list the files as resources")
    return said


def _check_plan(plan: Path, files: set[str]) -> None:
    """Refuse a kustomization that means something else than the files beside it."""
    said = _plan(plan)
    beyond = sorted(said.keys() - UNDERSTOOD)
    resources = set(said.get("resources") or ())
    elsewhere = sorted(resources - files)
    if beyond or elsewhere:
        raise BadManifest(
            f"{plan}: {beyond[0] if beyond else f'resources: {elsewhere[0]}'}: embedded mode reads "
            "the files of one folder and applies no overlay; use kubectl apply -k on a cluster, or "
            "a folder with the manifests themselves"
        )
    if left_out := sorted(files - resources):
        raise BadManifest(
            f"{plan}: resources: {left_out[0]} is not among them; add it, or move the file away"
        )


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise BadManifest(f"{file}: cannot be read: {error}") from error


def _documents(file: Path, text: str) -> Iterator[Any]:
    try:
        yield from (document for document in yaml.safe_load_all(text) if document is not None)
    except yaml.YAMLError as error:
        raise BadManifest(f"{file}: is no YAML: {' '.join(str(error).split())}") from error


def _decoded(data: Mapping[str, str]) -> dict[str, str]:
    return {key: base64.b64decode(value).decode() for key, value in data.items()}
