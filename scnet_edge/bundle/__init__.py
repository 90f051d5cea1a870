"""The deployable thing: graphs, manifest, golden frames."""
