"""One target under atheris; started by `python -m scripts.fuzz`."""

from __future__ import annotations

import sys

import atheris

# What a parser imports as late as it is called would not be watched, so it is imported here.
with atheris.instrument_imports(include=["scnet_edge", "mcap", "rosbags", "tomllib"]):
    import scnet_edge.sinks.mcap_file  # noqa: F401
    from scripts.fuzz.targets import TARGETS


def main() -> None:
    """Run libFuzzer on the target that is named first."""
    atheris.Setup([sys.argv[0], *sys.argv[2:]], TARGETS[sys.argv[1]])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
