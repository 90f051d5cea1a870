"""The log of a run once more, for TensorBoard: scalars by their names, at their steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from scnet_edge.errors import ConfigError, install_extra
from scnet_edge.training.run_folder import Row, checkpointed_step


@contextmanager
def tensorboard_log(folder: Path, run: Path) -> Iterator[Callable[[Row], None]]:
    """Yield what writes a row of a run's log into `folder`, in a folder named after the run.

    A run that is gone on with hides what it had written after its checkpoint.

    Raises:
        ConfigError: TensorBoard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ModuleNotFoundError as e:
        raise ConfigError(
            f"--tensorboard: no package {e.name}; {install_extra('tensorboard')}"
        ) from e
    step = checkpointed_step(run)
    name = run.absolute().name
    with SummaryWriter(folder / name, purge_step=step + 1 if step else None) as writer:

        def write(row: Row) -> None:
            for metric, value in row.items():
                if metric != "step":
                    writer.add_scalar(metric, value, int(row["step"]))

        yield write
