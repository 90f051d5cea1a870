"""`python -m scnet_edge`, for `torchrun -m`."""

from scnet_edge.cli import main

main()
