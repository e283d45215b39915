"""A Kubernetes API server that keeps objects, forgets everything else, and notes what it is asked.

It has no schema, no admission and no controllers; that its answers are those of a real one, as far
as the `Cluster` port goes, is what `e2e/test_cluster_port.py` shows.
"""

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, NamedTuple

import yaml
from aiohttp import web
from aiohttp.test_utils import TestServer

from controller.api.names import FIELD_MANAGER

MERGE = "application/merge-patch+json"

type Body = dict[str, Any]


class Call(NamedTuple):
    """What RBAC is asked for one request; `namespace` and `name` are "" where there is none."""

    verb: str
    group: str
    resource: str
    namespace: str
    name: str


class _Place(NamedTuple):
    group: str
    resource: str
    namespace: str
    name: str


@dataclass
class KubernetesApi:
    """Objects by where they are, and every request, in the words of RBAC.

    Source:
        Kubernetes documentation, "Authorization", "Determine the request verb"; "Server-Side Apply"
        on the permission to create.
    """

    objects: dict[_Place, Body] = field(default_factory=dict)
    calls: set[Call] = field(default_factory=set)
    url: str = ""
    _born: int = 0

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator["KubernetesApi"]:
        """Answer at `url` for as long as the body runs."""
        app = web.Application()
        app.router.add_route("*", "/{root:apis?}/{path:.+}", self._answer)
        async with TestServer(app) as server:
            self.url = str(server.make_url("")).rstrip("/")
            yield self

    def put(self, resource: str, body: Body, group: str = "") -> None:
        """What somebody else has applied."""
        metadata = body["metadata"]
        place = _Place(group, resource, metadata.get("namespace", ""), metadata["name"])
        self._keep(place, {**self.objects.get(place, {}), **body})

    def remove(self, resource: str, namespace: str, name: str, group: str = "") -> None:
        """What nobody holds any more."""
        self.objects.pop(_Place(group, resource, namespace, name), None)

    async def _answer(self, request: web.Request) -> web.Response:
        place, part = _asked(request)
        match request.method:
            case "GET" if place.name:
                return self._get(place)
            case "GET":
                return self._list(place, request.query.get("labelSelector", ""))
            case "POST":
                return self._create(place, await request.json())
            case "PATCH":
                body = yaml.safe_load(await request.text())
                return self._patch(place, part, body, request.content_type)
            case _:
                self._note("delete", place)
                return _found(self.objects.pop(place, None))

    def _note(self, verb: str, place: _Place, part: str = "") -> None:
        resource = f"{place.resource}/{part}" if part else place.resource
        self.calls.add(Call(verb, place.group, resource, place.namespace, place.name))

    def _get(self, place: _Place) -> web.Response:
        self._note("get", place)
        return _found(self.objects.get(place))

    def _list(self, place: _Place, selector: str) -> web.Response:
        self._note("list", place)
        wanted = dict(one.split("=") for one in selector.split(",") if one)
        items = [
            body
            for found, body in self.objects.items()
            if found[:2] == place[:2]
            and place.namespace in ("", found.namespace)
            and wanted.items() <= body["metadata"].get("labels", {}).items()
        ]
        return web.json_response({"items": items})

    def _create(self, place: _Place, body: Body) -> web.Response:
        self._note("create", place)
        place = place._replace(name=body["metadata"]["name"])
        if place in self.objects:
            return _refused(HTTPStatus.CONFLICT)
        return _found(self._keep(place, body))

    def _patch(self, place: _Place, part: str, body: Body, how: str) -> web.Response:
        self._note("patch", place, part)
        if place not in self.objects:
            self._note("create", place._replace(name=""))  # which has no name yet
        for owner in body.get("metadata", {}).get("ownerReferences", ()):
            # The admission plugin OwnerReferencesPermissionEnforcement asks for this one.
            kind = f"{owner['kind'].lower()}s"
            group = owner["apiVersion"].partition("/")[0]
            owned = _Place(group, kind, place.namespace, owner["name"])
            if owner["blockOwnerDeletion"]:
                self._note("update", owned, "finalizers")
        before = self.objects.get(place, {})
        if how == MERGE and "data" in body:
            body = {**body, "data": {**before["data"], **body["data"]}}
        return _found(self._keep(place, {**before, **body}))

    def _keep(self, place: _Place, body: Body) -> Body:
        self._born += 1
        was = self.objects.get(place, {}).get("metadata", {})
        metadata = {
            "uid": f"uid-{self._born}",
            "creationTimestamp": "2026-11-22T10:00:00Z",
            "generation": 1,
            **was,
            **body.get("metadata", {}),
            "resourceVersion": str(self._born),
            "managedFields": [{"manager": FIELD_MANAGER, "operation": "Apply"}],
        }
        self.objects[place] = {**body, "metadata": metadata}
        return self.objects[place]


def _asked(request: web.Request) -> tuple[_Place, str]:
    """The object, or the collection, of a request, and the subresource."""
    parts = request.match_info["path"].split("/")
    group = parts.pop(0) if request.match_info["root"] == "apis" else ""
    _version = parts.pop(0)
    namespace = ""
    if parts[0] == "namespaces" and len(parts) > 2:
        _, namespace, *parts = parts
    resource, name, part, *_ = [*parts, "", ""]
    return _Place(group, resource, namespace, name), part


def _found(body: Mapping[str, Any] | None) -> web.Response:
    return _refused(HTTPStatus.NOT_FOUND) if body is None else web.json_response(body)


def _refused(status: HTTPStatus) -> web.Response:
    return web.json_response({"message": status.phrase}, status=status)
