"""The heat map of a chart: a picture of a few hundred bytes, one cell for each step of time and row of latency.

The darker a cell, the more requests; a dash through it tells that some of them failed. The blue is see-through, so that
it does on light and on dark paper and over the bands of faults.
"""

from __future__ import annotations

import base64
import math
import struct
import zlib

from pytest_enterprise.report.traffic import ROWS, Timeline

SHADES = (46, 82, 122, 168, 224)
"""How opaque the blue is, from the fewest requests to the most."""
BLUE, RED = (38, 110, 200), (214, 40, 32)
_CLEAR, _FAILED = 0, len(SHADES) + 1


def most(timeline: Timeline) -> int:
    """Requests in the fullest cell."""
    return max(max(column) for column in timeline.heat)


def shade(count: int, full: int) -> int:
    """The number of the shade for a cell of ``count`` requests, 0 for none; equal steps are equal ratios."""
    if not count:
        return _CLEAR
    return 1 + min(len(SHADES) - 1, int(len(SHADES) * math.log(count) / math.log(full + 1)))


def address(timeline: Timeline) -> str:
    """The picture as a ``data:`` address; its upper left is the slowest row of the first step."""
    full, width = most(timeline), len(timeline.buckets)
    rows = []
    for row in reversed(range(ROWS)):
        failed = [column[row] for column in timeline.failed_heat] or [0] * width
        plain = [shade(column[row], full) for column in timeline.heat]
        dashed = [_FAILED if bad else level for level, bad in zip(plain, failed, strict=True)]
        # Three rows of pixels, of which the dash is the middle one.
        rows += [_packed(plain), _packed(dashed), _packed(plain)]
    return "data:image/png;base64," + base64.b64encode(_png(width, rows)).decode()


def _packed(levels: list[int]) -> bytes:
    """Four bits each, behind the byte that says: not filtered."""
    padded = levels + [0] * (len(levels) % 2)
    return b"\0" + bytes(a << 4 | b for a, b in zip(padded[::2], padded[1::2], strict=True))


def _png(width: int, rows: list[bytes]) -> bytes:
    palette = bytes((*BLUE,)) * (len(SHADES) + 1) + bytes(RED)
    squeeze = zlib.compressobj(9, zlib.DEFLATED, 15, 9)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, len(rows), 4, 3, 0, 0, 0)),
            _chunk(b"PLTE", palette),
            _chunk(b"tRNS", bytes((0, *SHADES))),
            _chunk(b"IDAT", squeeze.compress(b"".join(rows)) + squeeze.flush()),
            _chunk(b"IEND", b""),
        )
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
