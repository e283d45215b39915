"""The server of a Stack, Llama Stack or OGX: its run configuration and what it runs in."""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from controller.api.names import Component, selector_labels
from controller.api.stack import Flavour, Model, Stack
from controller.desired.identity import (
    BY_ACCOUNT,
    identity_volume,
    queue_access,
    spiffe_id_children,
    token_access,
)
from controller.desired.metadata import Role, digest, key_of, metadata, workload_name
from controller.desired.network import network_policy, server_traffic
from controller.desired.parts import (
    GRANTED_TOKENS,
    HEALTH_PORT,
    QUEUE_TOKEN,
    config_map,
    folder,
    service_account,
    with_revision,
)
from controller.desired.render import manifest, text, yaml_quoted
from controller.model import Child, IdentityRule, Image, Site
from runtime.contract.agent_config import StackConfig
from runtime.contract.auth_config import ServerAuth
from runtime.contract.spiffe import SCHEME
from runtime.contract.trust_config import Issuer

IMAGE_BY_FLAVOUR: Final = {
    Flavour.LLAMA_STACK: Image.SERVER,
    Flavour.OGX: Image.SERVER_OGX,
}
PROVIDERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "remote::cerebras": "api_key",
        "remote::gemini": "api_key",
        "remote::groq": "api_key",
        "remote::llama-cpp-server": "api_key",
        "remote::llama-openai-compat": "api_key",
        "remote::nvidia": "api_key",
        "remote::openai": "api_key",
        "remote::runpod": "api_token",
        "remote::sambanova": "api_key",
        "remote::vllm": "api_token",
    }
)
"""Providers either server's image can run: those that need an address and a key, and what each
calls the key.

Source:
    llama-stack 0.7.3 and ogx 1.5.0, `providers/registry/inference.py` and the config class of each
    provider.
"""

MORE_BY_PROVIDER: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {"remote::vllm": {"max_tokens": 0}}
)
"""What else a provider has to be told: without it, vllm is asked for at most 4096 tokens."""

NO_KEY: Final = "none"
"""What a server without keys is told: some OpenAI clients do not start without one."""
LEAST_RESOURCES: Final = {"requests": {"cpu": "100m", "memory": "256Mi"}}


def server_children(
    stack: Stack, site: Site, secrets: Iterable[str] = (), rule: IdentityRule = BY_ACCOUNT
) -> tuple[tuple[Child, ...], str]:
    """All that the server of `stack` needs, and its revision: another one with other `secrets`."""
    name = workload_name(Role.SERVER, key_of(stack)).name
    config = run_config(stack, site, rule)
    deployment = _deployment(stack, site, rule)
    revision = digest(config, yaml_quoted(deployment["spec"]["template"]), *secrets)
    return (
        service_account(name, stack, Component.SERVER),
        *spiffe_id_children(Role.SERVER, stack, Component.SERVER, rule, site),
        config_map(name, stack, Component.SERVER, {"run.yaml": config}),
        *_volume(stack, name),
        *network_policy(name, stack, Component.SERVER, server_traffic(stack, site), site),
        _service(stack, site),
        with_revision(deployment, revision),
    ), revision


def stack_config(
    stack: Stack, site: Site, role: Role, rule: IdentityRule = BY_ACCOUNT
) -> StackConfig:
    """What the server or the dispatcher of `stack` needs to know of the queue."""
    return StackConfig(
        queue=queue_access(site, role, stack, stack, rule),
        event_seconds=stack.spec.retention.event_seconds,
        # Nobody but the server accepts tasks of users.
        tokens=token_access(site, role, stack, stack, rule) if role is Role.SERVER else None,
    )


def run_config(stack: Stack, site: Site, rule: IdentityRule = BY_ACCOUNT) -> str:
    """run.yaml: the agents as one provider, each model as another, builtin answers behind them.

    Source:
        llama-stack 0.7.3 and ogx 1.5.0, `core/datatypes.py`, StackConfig.
    """
    key = key_of(stack)
    listen = site.server_listen(key.object_name)
    config = stack_config(stack, site, Role.SERVER, rule)
    return text(
        "run.yaml.j2",
        is_ogx=stack.spec.server.flavour is Flavour.OGX,
        stack=config.model_dump(mode="json", by_alias=True, exclude_none=True),
        models=[_provider(model, place, site) for place, model in enumerate(stack.spec.models)],
        vectors_by=_default_of_vectors(stack, site),
        data_dir=_data_dir(stack, site),
        host=listen.host,
        port=listen.port,
        workers=stack.spec.server.workers,
        heartbeat_seconds=stack.spec.server.heartbeat_seconds,
        auth=_auth(stack, site),
    )


def _auth(stack: Stack, site: Site) -> dict[str, Any] | None:
    """Whom the server lets in; None for everybody."""
    auth = stack.spec.auth
    if auth is None:
        return None
    told = ServerAuth(
        users=Issuer(issuer=auth.issuer, ca=auth.ca_bundle),
        audience=auth.audience,
        # Workloads show servers tokens of Kubernetes, also those that have SVIDs.
        workloads=tuple(one for one in site.issuers if not one.issuer.startswith(SCHEME)),
        operator=site.operator,
    )
    return told.model_dump(mode="json", by_alias=True, exclude_none=True)


def _provider(model: Model, place: int, site: Site) -> dict[str, Any]:
    base_url, provided = site.model_endpoint(model.base_url or "", model.model)
    key = f"${{env.{_key_name(place)}}}" if model.api_key_secret_ref else NO_KEY
    config: dict[str, Any] = {PROVIDERS[model.provider]: key, "allowed_models": [provided]}
    config.update(MORE_BY_PROVIDER.get(model.provider, {}))
    if base_url:
        config["base_url"] = base_url
    return {
        "name": model.name,
        "provider": model.provider,
        "model": provided,
        "config": config,
        "dimensions": model.embedding and model.embedding.dimensions,
    }


def _default_of_vectors(stack: Stack, site: Site) -> dict[str, Any] | None:
    """The model of vector stores for which none is named; None if there are no vector stores."""
    model = stack.spec.vectors_by
    if model is None or model.embedding is None:
        return None
    _, provided = site.model_endpoint(model.base_url or "", model.model)
    return {
        "provider_id": model.name,
        "model_id": provided,
        "embedding_dimensions": model.embedding.dimensions,
    }


def _data_dir(stack: Stack, site: Site) -> str | None:
    """The folder of the server's volume; None if all it keeps is in a database."""
    if stack.spec.storage.sqlite is None:
        return None
    return site.data_dir(workload_name(Role.SERVER, key_of(stack)))


def _key_name(place: int) -> str:
    return f"MODEL_KEY_{place}"


def _keys(stack: Stack) -> Iterator[dict[str, str]]:
    for place, model in enumerate(stack.spec.models):
        ref = model.api_key_secret_ref
        if ref is not None:
            yield {"env": _key_name(place), "secret": ref.name, "key": ref.key}
    postgres = stack.spec.storage.postgres
    if postgres is not None:
        url, ca = postgres.url_secret_ref, postgres.ca_secret_ref
        yield {"env": "K8GENTAI_DATABASE_URL", "secret": url.name, "key": url.key}
        if ca is not None:
            yield {"env": "K8GENTAI_DATABASE_CA", "secret": ca.name, "key": ca.key}


def _database(stack: Stack) -> str | None:
    """What the server calls its database in errors, since it does not show the address."""
    postgres = stack.spec.storage.postgres
    if postgres is None:
        return None
    ref = postgres.url_secret_ref
    return f"spec.storage.postgres.urlSecretRef (key {ref.key} of the Secret {ref.name})"


def _volume(stack: Stack, name: str) -> tuple[Child, ...]:
    sqlite = stack.spec.storage.sqlite
    if sqlite is None:
        return ()
    meta = metadata(name, stack, Component.SERVER)
    return (Child(manifest("volume_claim.yaml.j2", metadata=meta, storage=sqlite.size)),)


def _service(stack: Stack, site: Site) -> Child:
    key = key_of(stack)
    port = site.server_listen(key.object_name).port
    return Child(
        manifest(
            "service.yaml.j2",
            metadata=metadata(f"stack-{key.name}", stack, Component.SERVER),
            selector=selector_labels(key.kind, key.name, Component.SERVER),
            headless=False,
            ports=[{"name": "http", "port": port, "target": "http"}],
        )
    )


def _deployment(stack: Stack, site: Site, rule: IdentityRule) -> dict[str, Any]:
    key, server = key_of(stack), stack.spec.server
    name = workload_name(Role.SERVER, key)
    rendered = manifest(
        "server.yaml.j2",
        metadata=metadata(name.name, stack, Component.SERVER),
        replicas=server.replicas,
        selector=selector_labels(key.kind, key.name, Component.SERVER),
        image=server.image or site.image(IMAGE_BY_FLAVOUR[server.flavour]),
        command=["python", "-m", "runtime", "serve", f"stack/{key.namespace}/{key.name}"],
        config_dir=site.config_dir(name),
        token_dir=folder(site.token_file(name)),
        data_dir=_data_dir(stack, site),
        is_alone=stack.spec.storage.sqlite is not None or stack.spec.vectors_by is not None,
        database=_database(stack),
        health_port=HEALTH_PORT,
        port=site.server_listen(key.object_name).port,
        keys=list(_keys(stack)),
        resources=server.resources.dump() if _is_given(stack) else LEAST_RESOURCES,
        identity=identity_volume(rule, QUEUE_TOKEN if stack.spec.auth is None else GRANTED_TOKENS),
        fetches_keys=stack.spec.auth is not None
        and any(issuer.token_file is not None for issuer in site.issuers),
    )
    return dict(rendered)


def _is_given(stack: Stack) -> bool:
    resources = stack.spec.server.resources
    return bool(resources.requests or resources.limits)
