"""`make faults`: which fault or attack is shown by which test, and how that test last ended.

Exits with 1 if a fault in scope has no test, or its last result is not `passed`.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from hack.fault_results import commit

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / ".cache" / "faults"

# The faults and attacks that this version promises to withstand, each in a word.
IN_SCOPE = {
    1: "SIGKILL of a worker in the middle of a run",
    2: "a run longer than ten ack waits, or one that blocks its event loop",
    3: "a worker stopped for two ack waits while another finishes",
    4: "SIGTERM with a task in flight",
    5: "a poison message that crashes its worker",
    6: "a malformed message",
    7: "advisories while the dispatcher is down",
    8: "a submit repeated because its server was lost before it answered",
    9: "a duplicate delivery",
    10: "a payload at and over the limit",
    11: "a full queue",
    12: "nats-server killed under work",
    16: "the operator killed after each external call",
    17: "stale, duplicated and reordered watch events",
    18: "each field of each kind, wrong in each way",
    19: "an Agent deleted with queued and running work",
    20: "a consumer or entry deleted or changed by somebody",
    21: "replies aimed at another agent's subject",
    22: "an agent that reaches for another agent's work",
    23: "connections with nine kinds of bad credentials",
    24: "the trust plane down for a while",
    25: "a credential that ends in the middle of work",
    27: "a tool asked without a good transaction token",
    28: "a transaction token taken twice, or by somebody else",
    29: "requests for tokens that nobody may have",
    30: "a user, two agents and a tool",
    31: "the grant of one task shown for another",
    35: "clocks that are off",
    37: "two agents of one name, and one that was created again",
}


# The others of the list, and why nothing is promised of them yet.
NOT_YET = {
    13: "three servers killed at once were not tried",
    14: "partitions need several nodes",
    15: "a full disk was not tried",
    26: "needs policies that are enforced",
    32: "needs Keycloak",
    38: "needs SPIRE",
}


def known() -> dict[str, dict[str, Any]]:
    """The newest result of each test on this very commit, by its id."""
    newest: dict[str, dict[str, Any]] = {}
    for file in sorted(RESULTS.glob("*.json")):
        newest |= json.loads(file.read_text())
    now = commit(ROOT)
    return {name: result for name, result in newest.items() if result.get("commit") == now}


def existing() -> set[str]:
    """The ids of all tests there are, so that results of removed ones do not count."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:xdist", ".", "e2e"]
    out = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout
    return {line for line in out.splitlines() if "::" in line}


def main() -> int:
    """Print the table; gives the exit code."""
    tests = existing()
    rows: dict[int, list[tuple[str, str, str]]] = {}
    for name, result in known().items():
        if name in tests:
            for number in result["faults"]:
                rows.setdefault(number, []).append((name, result["level"], result["outcome"]))
    bad = []
    print("| fault | what | level | tests | last result |\n|---|---|---|---|---|")
    for number in sorted({*rows, *IN_SCOPE}):
        found = sorted(rows.get(number, []))
        outcomes = sorted({outcome for _, _, outcome in found})
        levels = ", ".join(sorted({level for _, level, _ in found})) or "-"
        example = found[0][0].partition("[")[0] if found else "none has run"
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        word = ", ".join(outcomes) or "missing"
        print(f"| {number} | {IN_SCOPE.get(number, '')} | {levels} | {example}{more} | {word} |")
        if number in IN_SCOPE and outcomes != ["passed"]:
            bad.append(number)
    for number, reason in NOT_YET.items():
        if number not in rows:
            print(f"| {number} | {reason} | - | - | not promised yet |")
    if bad:
        print(f"\nwithout a passed test: {', '.join(map(str, bad))}", file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
