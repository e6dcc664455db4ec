"""The command `alert-test`: a marked test by every configured way, and what came back.

Guarantees: exit code 0 only if everything arrived. Must never: need the database.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime

import typer

from monitor.cli.options import AsJson, ConfigPath
from monitor.config import load
from monitor.pictures import reliability_png


def alert_test(
    config_path: ConfigPath = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Send a marked test by every configured way, and say what came back."""
    # The senders' clients: other commands need none.
    from monitor.daemon.receivers import senders  # noqa: PLC0415
    from monitor.notify.heartbeat import Heartbeat  # noqa: PLC0415
    from monitor.notify.trial import tried  # noqa: PLC0415

    settings = load(config_path, os.environ)
    settings.require_receivers()
    routes = settings.every_route()
    if as_json:
        # Standard output is the document's.
        routes = [route for route in routes if route[0] != "console"]
    done = tried(routes, senders(settings), datetime.now(UTC), reliability_png)
    rows = [
        {"route": one.route, "target": one.target, "kind": str(one.kind)}
        | {"delivered": one.is_delivered, "said": one.said}
        for one in done
    ]
    url = settings.connections.heartbeat_url
    if url is not None:
        failed = Heartbeat(url.get_secret_value()).ping()
        row: dict[str, object] = {"route": "heartbeat", "target": "CALMON_HEARTBEAT_URL"}
        rows.append(row | {"kind": "ping", "delivered": not failed, "said": failed or "answered"})
    if as_json:
        typer.echo(json.dumps(rows))
    else:
        for one_row in rows:
            verdict = "ok    " if one_row["delivered"] else "FAILED"
            where = f"{one_row['route']} {one_row['target']}"
            typer.echo(f"{verdict} {where}: {one_row['kind']}: {one_row['said']}")
    if not all(one_row["delivered"] for one_row in rows):
        raise typer.Exit(1)
