"""What a model or bundle scores on annotated images: `scores`; over many domains: `domains`."""
