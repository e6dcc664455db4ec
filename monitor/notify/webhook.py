"""Webhook: the whole notice as versioned JSON, signed, to any address.

Guarantees: signed as Standard Webhooks asks (HMAC-SHA256 over id, timestamp and body), with an id
that is the same in every repeat, by which a receiver drops doubles; docs/webhook.schema.json holds
for every body. Must never: change a field's meaning without another SCHEMA_VERSION, or let the
secret or the address into a log or an outcome.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from monitor.core.episode.notices import Delivered, Outcome, Rejected, Retry
from monitor.notify.messages import as_plain_text, render
from monitor.notify.web import posted, web_client

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from monitor.core.episode.notices import AlertNotice, Notification

SCHEMA_VERSION = 1
SECRET_PREFIX = "whsec_"  # noqa: S105  # what a secret begins with, no secret
SHORTEST_SECRET = 16
"""Bytes of a secret at least."""


class WebhookSender:
    """Posts to webhooks; receivers: (address, secret) by name."""

    pictured = False

    def __init__(
        self,
        receivers: Mapping[str, tuple[str, str]],
        timeout_s: float = 10,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._receivers = dict(receivers)
        self._client = web_client(timeout_s)
        self._now = now

    def send(self, notification: Notification, notice: AlertNotice, _: bytes | None) -> Outcome:
        """Post the notice, signed at this moment."""
        if notification.target not in self._receivers:
            return Retry(f"no webhook is configured by the name {notification.target!r}")
        url, secret = self._receivers[notification.target]
        body = json.dumps(body_of(notification, notice), allow_nan=False).encode()
        webhook_id = notification.notification_id
        sent_at_s = int(self._now().timestamp())
        headers = {
            "webhook-id": webhook_id,
            "webhook-timestamp": str(sent_at_s),
            "webhook-signature": signature(secret, webhook_id, sent_at_s, body),
        }
        answer = posted(self._client, "the webhook", url, body, headers)
        if isinstance(answer, Retry | Rejected):
            return answer
        return Delivered({"status": answer.status_code}, f"HTTP {answer.status_code}")


def body_of(notification: Notification, notice: AlertNotice) -> dict[str, object]:
    """The body: what is told, for people and for programs."""
    message = render(notice)
    return {
        "version": SCHEMA_VERSION,
        "type": f"alert.{notice.kind}",
        "id": notification.notification_id,
        "sequence": notification.sequence,
        "summary": message.plain,
        "text": as_plain_text(message),
        "alert": notice.as_json(),
    }


def secret_key(secret: str) -> bytes:
    """Bytes of a secret: base64 after `whsec_`, else the text itself; raises ValueError."""
    if not secret.startswith(SECRET_PREFIX):
        key = secret.encode()
    else:
        try:
            key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
        except binascii.Error:
            msg = f"what follows {SECRET_PREFIX} must be base64"
            raise ValueError(msg) from None
    if len(key) < SHORTEST_SECRET:
        msg = f"a secret must have at least {SHORTEST_SECRET} bytes"
        raise ValueError(msg)
    return key


def signature(secret: str, webhook_id: str, sent_at_s: int, body: bytes) -> str:
    """Signature header: `v1,` and base64 of HMAC-SHA256 over `id.timestamp.body`."""
    content = f"{webhook_id}.{sent_at_s}.".encode() + body
    digest = hmac.new(secret_key(secret), content, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"
