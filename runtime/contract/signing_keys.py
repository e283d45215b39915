"""The keys that grants and transaction tokens are signed with: the operator makes and rotates them.

Source:
    RFC 7517 (JWK), RFC 7638 (thumbprint); OpenID Connect Core 1.0, section 10.1.1, which the draft
    on transaction tokens names for the rotation (section 13.11).
"""

from typing import Any

from pydantic import Field

from runtime.contract.value import Value, Versioned


class SigningKey(Value):
    """One key pair.

    Shape:
        private  a JWK with the private part; its `kid` is the thumbprint.

    Units:
        `signs_from` in seconds since the epoch. Until then it is only published, so that everybody
        knows it when the first signature comes.
    """

    kid: str
    private: dict[str, Any]
    signs_from: float


class SigningKeys(Versioned):
    """What stands in the trust plane's Secret; the key that begins to sign last is the last one."""

    keys: tuple[SigningKey, ...] = Field(min_length=1)

    def current(self, now: float) -> SigningKey:
        """The key that signs at `now`, in seconds since the epoch."""
        begun = [key for key in self.keys if key.signs_from <= now]
        return begun[-1] if begun else self.keys[0]
