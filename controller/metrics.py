"""What the operator counts. Each name is made here, once."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

OBJECTS: Final = Gauge("k8gentai_objects", "Objects the operator keeps in step.", ["kind"])
RECONCILES: Final = Counter(
    "k8gentai_reconciles", "Reconciles, by what came of them.", ["kind", "outcome"]
)
RECONCILE_SECONDS: Final = Histogram(
    "k8gentai_reconcile_seconds",
    "How long a reconcile took.",
    ["kind"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
