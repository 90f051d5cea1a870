"""FPS against F1: measured in rounds, filed as JSON, reported, compared and planned with."""
