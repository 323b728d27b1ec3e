"""Signed envelopes (DSSE) in one spelling, so that each byte of an envelope is either signed or fixed.

DSSE signs neither the key id nor the spelling of its base64. Here the key id is the public key itself, in hexadecimal,
and an envelope that is not written exactly as :func:`seal` writes it is refused.

Part of the single-file verifier: the standard library and ``cryptography`` only.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from typing import Any, NamedTuple

from pytest_enterprise.evidence.notes import Malformed, holds

STATEMENT = "application/vnd.in-toto+json"
"""The type of an in-toto statement."""
RECORD = "application/vnd.pytest-enterprise.ledger+json"
"""The type of everything else that the ledger keeps."""


class Opened(NamedTuple):
    """What an envelope held, once its signature was found good."""

    payload_type: str
    payload: dict[str, Any]
    public: bytes
    """The key that signed it, 32 bytes."""


def canonical(document: Any) -> bytes:
    """JSON in one spelling: keys sorted, no spaces, UTF-8."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def encoding(payload_type: str, payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding: what is signed."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def seal(payload_type: str, document: Any, public: bytes, sign: Callable[[bytes], bytes]) -> bytes:
    """An envelope around a document, on one line."""
    payload = canonical(document)
    return _written(payload_type, payload, public, sign(encoding(payload_type, payload)))


def _written(payload_type: str, payload: bytes, public: bytes, signature: bytes) -> bytes:
    return canonical(
        {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": payload_type,
            "signatures": [{"keyid": public.hex(), "sig": base64.b64encode(signature).decode()}],
        }
    )


def unseal(data: bytes) -> Opened:
    """What an envelope holds. Raises Malformed that says what is wrong with it; the key is not judged here."""
    try:
        envelope = json.loads(data)
        payload_type = envelope["payloadType"]
        (signed,) = envelope["signatures"]
        payload = base64.b64decode(envelope["payload"], validate=True)
        public = bytes.fromhex(signed["keyid"])
        signature = base64.b64decode(signed["sig"], validate=True)
        written = _written(payload_type, payload, public, signature)
    except (binascii.Error, KeyError, TypeError, ValueError, RecursionError):
        raise Malformed("it is no envelope with one signature") from None
    if written != data:
        raise Malformed("its bytes are not as it was sealed")
    if not holds(public, signature, encoding(payload_type, payload)):
        raise Malformed("its signature does not hold: it was changed, or is not by the key that it names")
    try:
        document = json.loads(payload)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise Malformed("what is signed is not a JSON object")
    return Opened(payload_type, document, public)
