"""Whole experiments: a preset trained on data, and the tables of the paper."""
