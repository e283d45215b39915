"""What each kind reports: from a view, what was made of it, and what came of that. Pure."""

from controller.status.conditions import unreadable_conditions
from controller.status.events import kube_events
from controller.status.policy import policy_status
from controller.status.stack import stack_status
from controller.status.workload import agent_status, tool_status

__all__ = [
    "agent_status",
    "kube_events",
    "policy_status",
    "stack_status",
    "tool_status",
    "unreadable_conditions",
]
