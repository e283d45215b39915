"""A server as tests start it, which writes down what it streams."""

import os
from collections.abc import Iterable
from pathlib import Path

from runtime.amf import stream
from runtime.amf.items import Wire
from runtime.amf.serve import serve
from runtime.settings import Settings

TAP = "K8GENTAI_TEST_TAP"


def serve_tapped() -> None:
    """Serve; what is streamed goes to the file that the environment names as well."""
    encode = stream.encoded

    def encoded(frames: Iterable[Wire]) -> bytes:
        data = encode(frames)
        with Path(os.environ[TAP]).open("ab") as file:
            file.write(data)
        return data

    stream.encoded = encoded
    serve(Settings.of())
