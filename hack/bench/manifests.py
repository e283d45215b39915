"""The manifests of the benchmark, with the agent's code as its ConfigMap."""

from collections.abc import Mapping
from pathlib import Path

import yaml

HERE = Path(__file__).parent
CONFIG_MAP = "bench-agent"
SERVERS = 2
WORKERS = 4


def texts() -> dict[str, str]:
    """Every manifest by file name."""
    found = {path.name: path.read_text() for path in sorted((HERE / "manifests").glob("*.yaml"))}
    return found | {"config_map.yaml": yaml.safe_dump(config_map())}


def config_map() -> dict[str, object]:
    """The ConfigMap that the agent's spec names: parrot.py as it is."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": CONFIG_MAP},
        "data": {"parrot.py": (HERE / "parrot.py").read_text()},
    }


def replicated(database: str, concurrency: int) -> dict[str, str]:
    """The same with two API servers, on the PostgreSQL at this URL, and several workers.

    Shape:
        concurrency  runs that the workers take at a time, together.
    """
    found = {name: yaml.safe_load(text) for name, text in texts().items()}
    found["secret.yaml"] = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "database"},
        "stringData": {"url": database},
    }
    found["stack.yaml"]["spec"] |= {
        "server": {"replicas": SERVERS},
        "storage": {"postgres": {"urlSecretRef": {"name": "database", "key": "url"}}},
    }
    agent = {"replicas": WORKERS, "execution": {"concurrency": concurrency // WORKERS}}
    found["agent.yaml"]["spec"] |= agent
    return {name: yaml.safe_dump(document) for name, document in found.items()}


def write(folder: Path, written: Mapping[str, str]) -> None:
    """Write them into `folder`, for `k8gentai up -f`."""
    for name, text in written.items():
        (folder / name).write_text(text)
