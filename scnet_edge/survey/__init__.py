"""A survey: what was found, kept through every crash, reported and exchanged."""
