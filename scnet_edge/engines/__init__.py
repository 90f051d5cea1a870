"""Inference engines behind one protocol, `base.Backend`.

Both CPU engines report their use to their makers, one with the name of the model file, and write
identifiers into the home folder. Here, before either is imported, that is switched off.
"""

import os
import sys

sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # it has a stub for this
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
