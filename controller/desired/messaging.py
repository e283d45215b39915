"""The NATS servers and the dispatcher of a Stack."""

from controller.api.names import Component, selector_labels
from controller.api.stack import ManagedMessaging, Stack
from controller.desired.identity import BY_ACCOUNT, identity_volume, spiffe_id_children
from controller.desired.metadata import Role, digest, key_of, metadata, workload_name
from controller.desired.nats import (
    LAME_DUCK_SECONDS,
    POD_NAME,
    ROUTE_PORT,
    Cluster,
    NatsServer,
    nats_conf,
)
from controller.desired.network import dispatcher_traffic, nats_traffic, network_policy
from controller.desired.parts import (
    HEALTH_PORT,
    QUEUE_TOKEN,
    config_map,
    folder,
    service_account,
    with_revision,
)
from controller.desired.render import manifest, yaml_quoted
from controller.desired.server import stack_config
from controller.model import Child, IdentityRule, Image, Site

MORE_SECONDS = 15
"""What a NATS server needs to close its files after its clients have gone."""


def nats_children(stack: Stack, site: Site) -> tuple[Child, ...]:
    """The NATS servers of `stack`, if it is to have its own."""
    managed = stack.spec.messaging.managed
    if managed is None:
        return ()
    name = workload_name(Role.NATS, key_of(stack)).name
    return (
        service_account(name, stack, Component.MESSAGING),
        config_map(name, stack, Component.MESSAGING, {"nats.conf": _conf(stack, managed, site)}),
        _service(stack, site, name, headless=False),
        _service(stack, site, _peers(stack), headless=True),
        *network_policy(name, stack, Component.MESSAGING, nats_traffic(stack, site), site),
        _servers(stack, managed, site),
    )


def dispatcher_children(
    stack: Stack, site: Site, rule: IdentityRule = BY_ACCOUNT
) -> tuple[tuple[Child, ...], str]:
    """All that the dispatcher of `stack` needs, the Deployment last, and its revision.

    Where there are several servers it must not be alone either.
    """
    key = key_of(stack)
    name = workload_name(Role.DISPATCHER, key)
    config = stack_config(stack, site, Role.DISPATCHER, rule).model_dump_json(
        by_alias=True, exclude_none=True, indent=2
    )
    deployment = manifest(
        "dispatcher.yaml.j2",
        metadata=metadata(name.name, stack, Component.DISPATCHER),
        replicas=1 if stack.spec.server.replicas <= 1 else 2,
        selector=selector_labels(key.kind, key.name, Component.DISPATCHER),
        image=site.image(Image.RUNTIME),
        command=["python", "-m", "runtime", "dispatch", f"stack/{key.namespace}/{key.name}"],
        config_dir=site.config_dir(name),
        token_dir=folder(site.token_file(name)),
        health_port=HEALTH_PORT,
        identity=identity_volume(rule, QUEUE_TOKEN),
    )
    revision = digest(config, yaml_quoted(deployment["spec"]["template"]))
    return (
        service_account(name.name, stack, Component.DISPATCHER),
        *spiffe_id_children(Role.DISPATCHER, stack, Component.DISPATCHER, rule, site),
        config_map(name.name, stack, Component.DISPATCHER, {"stack.json": config}),
        *network_policy(
            name.name, stack, Component.DISPATCHER, dispatcher_traffic(stack, site), site
        ),
        with_revision(deployment, revision),
    ), revision


def _peers(stack: Stack) -> str:
    # Not nats-<stack>-peers: that is the name of what a Stack called <stack>-peers has.
    return f"peers-{stack.metadata.name}"


def _conf(stack: Stack, managed: ManagedMessaging, site: Site) -> str:
    key = key_of(stack)
    name = workload_name(Role.NATS, key)
    listen = site.queue_listen(key.object_name)
    replicas = site.queue_replicas(managed.replicas)
    routes = tuple(
        f"nats://{name.name}-{place}.{_peers(stack)}:{ROUTE_PORT}" for place in range(replicas)
    )
    return nats_conf(
        NatsServer(
            stack=key.object_name,
            issuer=site.trust_keys.account,
            trust_user=site.trust_keys.user,
            xkey=site.trust_keys.xkey,
            store_dir=site.data_dir(name),
            name=f"{name.name}-0" if replicas == 1 else None,
            host=listen.host,
            port=listen.port,
            monitor_port=listen.monitor_port,
            sync_interval=managed.sync_interval,
            cluster=Cluster(name=str(name), routes=routes) if replicas > 1 else None,
        )
    )


def _servers(stack: Stack, managed: ManagedMessaging, site: Site) -> Child:
    key = key_of(stack)
    name = workload_name(Role.NATS, key)
    rendered = manifest(
        "nats.yaml.j2",
        metadata=metadata(name.name, stack, Component.MESSAGING),
        replicas=site.queue_replicas(managed.replicas),
        selector=selector_labels(key.kind, key.name, Component.MESSAGING),
        peers=_peers(stack),
        grace_seconds=LAME_DUCK_SECONDS + MORE_SECONDS,
        image=site.image(Image.NATS),
        pod_name=POD_NAME,
        config_dir=site.config_dir(name),
        data_dir=site.data_dir(name),
        listen=site.queue_listen(key.object_name),
        storage=managed.storage,
    )
    template = yaml_quoted(rendered["spec"]["template"])
    return with_revision(rendered, digest(_conf(stack, managed, site), template))


def _service(stack: Stack, site: Site, name: str, *, headless: bool) -> Child:
    key = key_of(stack)
    ports = [
        {
            "name": "client",
            "port": site.queue_listen(key.object_name).port,
            "target": "client",
        }
    ]
    if headless:
        ports.append({"name": "routes", "port": ROUTE_PORT, "target": ROUTE_PORT})
    return Child(
        manifest(
            "service.yaml.j2",
            metadata=metadata(name, stack, Component.MESSAGING),
            selector=selector_labels(key.kind, key.name, Component.MESSAGING),
            headless=headless,
            ports=ports,
        )
    )
