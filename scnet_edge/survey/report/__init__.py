"""A survey as one self-contained page, for the screen and for paper."""
