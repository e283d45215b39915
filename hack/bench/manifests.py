"""The manifests of the benchmark, with the agent's code as its ConfigMap."""

from pathlib import Path

import yaml

HERE = Path(__file__).parent
CONFIG_MAP = "bench-agent"


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


def write(folder: Path) -> None:
    """Write them into `folder`, for `k8gentai up -f`."""
    for name, text in texts().items():
        (folder / name).write_text(text)
