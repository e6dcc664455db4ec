"""Coverage-guided fuzzing of the decoder: any bytes give an event or a refusal.

Run by `make fuzz` for FUZZ_SECONDS (60). The first byte of an input chooses a valid message and the
field that the rest replaces, or that the rest is the whole message; so values are reached that
plain bytes never would. What it finds becomes a case in tests/ingest/test_formats_fuzz.py.
Guarantees: exits 0 when nothing was found, or, with the reason, where atheris is absent.
"""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
from pathlib import Path

SECONDS = os.environ.get("FUZZ_SECONDS", "60")
TOKENS = (
    '"', "\\", "\\u0000", "\\ud800", "\\udc00", "{", "}", "[", "]", ",", ":", "null", "true", "NaN",
    "Infinity", "-0", "1e999", "1e-400", "9223372036854775808", "18446744073709551616",
    "4000000000000", "4000000000001", "1970-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999-23:59",
    "0001-01-01T00:00:00+23:59", "retract", "upsert", "deploy",
)  # fmt: skip


def main() -> None:
    """Fuzz from the valid messages until the time is over."""
    try:
        atheris = importlib.import_module("atheris")
    except ModuleNotFoundError:
        sys.stdout.write("skipped: atheris is not installed (no wheel for this platform)\n")
        return
    with atheris.instrument_imports(include=["monitor.ingest.formats"]):
        messages = importlib.import_module("tests.ingest.fuzzed_messages")
    with tempfile.TemporaryDirectory(prefix="calmon-fuzz-") as directory:
        corpus = Path(directory, "corpus")
        corpus.mkdir()
        for number, (chosen, value) in enumerate(messages.starting_points()):
            Path(corpus, str(number)).write_bytes(bytes([chosen]) + value)
        tokens = Path(directory, "tokens")
        tokens.write_text("".join(f'"{_quoted(token)}"\n' for token in TOKENS))
        limits = [f"-max_total_time={SECONDS}", "-timeout=10", f"-max_len={1 << 16}"]
        # The last input is left where it can be found, not in the checkout.
        limits += [f"-dict={tokens}", f"-artifact_prefix={tempfile.gettempdir()}/calmon-fuzz-"]
        arguments = [sys.argv[0], str(corpus), *limits, *sys.argv[1:]]
        atheris.Setup(arguments, messages.check_input)
        atheris.Fuzz()


def _quoted(token: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in token.encode())


if __name__ == "__main__":
    main()
