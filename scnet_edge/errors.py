"""What a user can get wrong, as one small tree.

    ScnetEdgeError
    +-- InputError       a frame, image, folder or video that cannot be used
    |   +-- Incomplete   a source in part unreadable; all that can be read was given before
    |   |   +-- CutShort a video that ends before its time
    +-- ModelError       a model definition or a weight file
    +-- GraphError       an ONNX graph that cannot be rewritten, quantised or trusted
    +-- EngineError      an inference engine that is missing or fails
    |   +-- EngineCrash  its process died or hung under one frame; the next starts it again
    |   +-- EngineGone   it died too often to be started again
    |   +-- BuildCancelled  a build that a person stopped
    +-- BundleError      a bundle that is incomplete, altered or of another version
    +-- GateError        no precision keeps enough of the accuracy
    +-- ConfigError      a recipe, manifest or option
    +-- SinkError        a sink failed in a run that was told to stop for that
    +-- SurveyError      a survey's folder or journal

Messages are one line: what was expected, what was found, what to do.
The command line prints them and exits with status 1; with 2 for GateError, with 78 (EX_CONFIG,
which tells systemd not to try again) for EngineGone, with 74 (EX_IOERR) for SinkError. A call that
it cannot parse ends with 64 (EX_USAGE). Anything else is a bug with its traceback.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

# Line breaks, and what a terminal would take for a command.
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


class ScnetEdgeError(Exception):
    """Base of every error that is the user's to mend."""

    def __str__(self) -> str:
        """Return the message on one line, whatever names and values it repeats."""
        return CONTROL.sub(" ", super().__str__())


class InputError(ScnetEdgeError):
    """A frame, image, folder or video cannot be used."""


class Incomplete(InputError):
    """A part of a source cannot be read; all that can be was given before."""


class CutShort(Incomplete):
    """A video ends before its time; the frames that are there were given before."""


class ModelError(ScnetEdgeError):
    """A model definition or a weight file is wrong."""


class GraphError(ScnetEdgeError):
    """An ONNX graph cannot be rewritten, quantised or trusted."""


class EngineError(ScnetEdgeError):
    """An inference engine is missing or fails."""


class EngineCrash(EngineError):
    """The engine's process died or hung under one frame; the next frame starts it again."""


class EngineGone(EngineError):
    """The engine's process died too often to be started again; exit status 78 of the CLI."""


class BuildCancelled(EngineError):
    """A build of compiled code was stopped by a person; nothing was changed."""


class BundleError(ScnetEdgeError):
    """A bundle is incomplete, altered or of another version."""


class GateError(ScnetEdgeError):
    """No precision that was asked for keeps enough of the accuracy."""


class ConfigError(ScnetEdgeError):
    """A recipe, manifest or option is wrong."""


class SurveyError(ScnetEdgeError):
    """A survey's folder or journal is damaged, foreign, or of a newer version."""


class SinkError(ScnetEdgeError):
    """A sink could not write, in a run that was told to stop for that; exit status 74."""


def escape(path: Path | str) -> str:
    """Return a path on one line of valid Unicode: other bytes and control characters as `\\xNN`."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def one_line(error: Exception) -> str:
    """Return a foreign error's many-line message as one of at most 300 characters."""
    text = " ".join(str(error).split())
    return text if len(text) <= 300 else f"{text[:140]} ... {text[-155:]}"


def install_extra(extra: str) -> str:
    """Return how to install an extra, for the end of a message."""
    return f"in the clone pip install '.[{extra}]', or the wheel with [{extra}]"
