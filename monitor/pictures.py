"""Pictures: charts as PNG bytes, with the drawing loaded only when something is drawn.

Guarantees: importing this costs nothing; most commands and an ingesting daemon never draw. Must
never: reach the network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.core.judging.verdict_json import verdict_from_json
from monitor.core.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from monitor.core.verdicts import BinEstimate

SCALE = 2
"""Pixels of a PNG for one of the definition: sharp on the screens that Slack is read on."""


class PictureError(ValueError):
    """The picture could not be drawn; the message says why."""


def reliability_png(verdict: Verdict | Mapping[str, object]) -> bytes:
    """Reliability picture of a verdict, or of the JSON that Verdict.as_json wrote, as PNG bytes.

    Raises PictureError when the JSON is no verdict, it holds no bins, or drawing fails.
    """
    import vl_convert  # noqa: PLC0415  # most commands never draw; it takes long

    from monitor.charts import reliability_chart  # noqa: PLC0415  # as above, for Altair

    try:
        known = verdict if isinstance(verdict, Verdict) else verdict_from_json(verdict)
        spec = reliability_chart(known).to_dict()
        return bytes(vl_convert.vegalite_to_png(spec, scale=SCALE, allowed_base_urls=[]))
    except ValueError as error:
        msg = f"the reliability picture could not be drawn: {error}"
        raise PictureError(msg) from error


def bins_svg(bins: Sequence[BinEstimate]) -> str:
    """Reliability picture of some bins as one SVG element; raises PictureError without a label."""
    import vl_convert  # noqa: PLC0415  # most commands never draw; it takes long

    from monitor.charts import bins_chart  # noqa: PLC0415  # as above, for Altair

    try:
        return str(vl_convert.vegalite_to_svg(bins_chart(bins).to_dict(), allowed_base_urls=[]))
    except ValueError as error:
        msg = f"the reliability picture could not be drawn: {error}"
        raise PictureError(msg) from error
