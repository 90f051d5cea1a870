"""Write docs/survey.schema.json, the schema of `scnet-edge export --format json`, anew."""

from __future__ import annotations

import json
from pathlib import Path

from scnet_edge.survey.exchange.document import document_schema

TARGET = Path(__file__).parents[1] / "docs" / "survey.schema.json"


if __name__ == "__main__":
    TARGET.write_text(json.dumps(document_schema(), indent=1) + "\n", encoding="utf-8")
