"""One drive: the loop with an inspector as its sink, which is closed however the loop ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from scnet_edge.errors import CutShort
from scnet_edge.runtime.counters import Counters
from scnet_edge.runtime.delivery import Sink
from scnet_edge.runtime.loop import Segment, run_loop
from scnet_edge.survey.inspector import Inspector
from scnet_edge.video.sources import Source


def drive(
    source: Source,
    segment: Segment,
    inspector: Inspector,
    sinks: Sequence[Sink] = (),
    *,
    frames: int | None = None,
) -> CutShort | None:
    """Inspect what the source gives, or so many frames of it, and close the inspector.

    Returns:
        What is wrong with a file that is cut; all that it holds was inspected.

    Raises:
        As `run_loop`; what was seen until then is recorded as after an orderly stop.
    """
    counters, cut = Counters(), None
    source = replace(source, items=inspector.unseen(source.items))
    try:
        run_loop(source, segment, [inspector, *sinks], frames=frames, counters=counters)
    except CutShort as e:
        cut = e
    finally:
        left = counters.dropped["stopped"] + counters.dropped["failed"]
        inspector.close(finished=inspector.exhausted and not left)
    return cut
