"""A PostgreSQL in a namespace of the test's own."""

import subprocess
from pathlib import Path

from e2e.kubectl import Body

IMAGE = "localhost/k8gentai/postgres:test"
# An image of this project that is there anyway, with Debian's PostgreSQL.
DOCKERFILE = """
FROM localhost/k8gentai/operator:dev
USER 0
RUN apt-get update -q && apt-get install -q -y --no-install-recommends postgresql \\
    && rm -rf /var/lib/apt/lists/*
USER 65532:65532
"""
RUN = """
export PATH=$(echo /usr/lib/postgresql/*/bin):$PATH
[ -e /data/db/PG_VERSION ] ||
  { initdb -D /data/db -U app --auth scram-sha-256 --encoding UTF8 --pwfile <(echo "$PASSWORD") &&
    echo "host all all all scram-sha-256" >>/data/db/pg_hba.conf; }
exec postgres -D /data/db -c listen_addresses='*' -c unix_socket_directories= -c jit=off
"""


def build_database(folder: Path) -> None:
    """Make the image that `database` runs, and load it into the cluster."""
    (folder / "Dockerfile").write_text(DOCKERFILE)
    subprocess.run(["hack/images/own.sh", str(folder), IMAGE], check=True)


def database(password: str) -> list[Body]:
    """A Secret with its address, and what runs it; its data outlives its pod."""
    labels = {"app.kubernetes.io/name": "db"}
    container = {
        "name": "postgres",
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "command": ["bash", "-c", RUN],
        "env": [{"name": "PASSWORD", "value": password}],
        "ports": [{"name": "sql", "containerPort": 5432}],
        "readinessProbe": {"tcpSocket": {"port": "sql"}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    pod = {
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "runAsGroup": 65532,
            "fsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "automountServiceAccountToken": False,
        "containers": [container],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "db"}}],
    }
    url = f"postgresql://app:{password}@db:5432/postgres?sslmode=disable"
    return [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "db"},
            "stringData": {"url": url},
        },
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "db"},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "256Mi"}},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "db"},
            "spec": {"selector": labels, "ports": [{"port": 5432, "targetPort": "sql"}]},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "db"},
            "spec": {
                "replicas": 1,
                "strategy": {"type": "Recreate"},
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        },
    ]
