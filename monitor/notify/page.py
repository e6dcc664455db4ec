"""Page: an alert and the evidence of its newest message as HTML that needs and runs nothing else.

Guarantees: every text is escaped, and the page may load and run nothing. Must never: offer to
change anything.
"""

from __future__ import annotations

import html
import json
from typing import TYPE_CHECKING

from monitor.core.episode.notices import notice_from_json
from monitor.notify.messages import as_plain_text, render

if TYPE_CHECKING:
    from monitor.core.judging.verdict_json import Json

POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""Content-Security-Policy of the page."""
_PAGE = """\
<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>{title}</title></head>
<body>
<h1>{title}</h1>
<pre>{said}</pre>
<h2>Evidence</h2>
<pre>{evidence}</pre>
</body>
</html>
"""


def alert_page(payload: Json) -> str:
    """The page of a notice as the outbox keeps it; raises ValueError where it cannot be read."""
    notice = notice_from_json(payload)
    title, _, said = as_plain_text(render(notice)).partition("\n")
    return _PAGE.format(
        title=html.escape(title),
        said=html.escape(said),
        evidence=html.escape(json.dumps(payload["verdict"], indent=2, ensure_ascii=False)),
    )
