"""What can go wrong outside: each error is a sentence and knows what comes next."""

from controller.api.conditions import ProgrammedReason
from controller.model import Failure, Origin


class ReconcileError(Exception):
    """Something outside did not do its part; the reconcile is tried again.

    Shape:
        reason   of the condition Programmed that tells it; `unknown`: nobody can tell, so that
                 condition is Unknown instead of False.

    Units:
        `retry_after` in seconds.
    """

    origin = Origin.CLUSTER
    reason = ProgrammedReason.PENDING
    unknown = False
    retry_after = 30.0

    @property
    def failure(self) -> Failure:
        """This error as a value: what the status tells, and when to try again."""
        return Failure(
            origin=self.origin,
            reason=self.reason,
            message=str(self),
            unknown=self.unknown,
            retry_after=self.retry_after,
        )


class ClusterUnavailable(ReconcileError):
    """Kubernetes did not answer, or asked to try again later."""

    unknown = True
    retry_after = 2.0


class NotPermitted(ClusterUnavailable):
    """Kubernetes does not let the operator look at an object."""


class NotOurs(ReconcileError):
    """An object of that name exists and somebody else manages it."""

    origin = Origin.CHILD


class ChildRefused(ReconcileError):
    """Kubernetes does not accept an object as it was written."""

    origin = Origin.CHILD


class QueueUnavailable(ReconcileError):
    """The queue did not answer; the message names its address."""

    origin = Origin.QUEUE
    unknown = True
    retry_after = 2.0


class QueueRefused(ReconcileError):
    """The queue does not accept a stream, bucket, consumer or entry as it was written."""

    origin = Origin.QUEUE
    reason = ProgrammedReason.STREAM_CONFLICT


class StaleView(ReconcileError):
    """What was read is older than what was read before; acting on it would roll back."""

    unknown = True
    retry_after = 1.0
