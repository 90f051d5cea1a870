"""What the shell or systemd lets this process have, said before a library dies of it."""

from __future__ import annotations

import errno
import os
import resource

from scnet_edge.errors import ConfigError

LEAST_MIB, AMPLE_MIB = 768, 2048  # of address space: below libraries end by a signal; for all
LEAST_FILES, LEAST_TASKS, AMPLE_TASKS = 32, 32, 256  # tasks: processes and threads of a user
MIB = 2**20
NO_ROOM = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}
NO_THREAD = "can't start new thread"  # for want of memory, or of processes (ulimit -u)
# What the loader of libraries says when it gets no memory or no descriptor.
UNLOADABLE = ("failed to map", "cannot allocate", "Too many open files", "cannot apply additional")


def require_limits() -> None:
    """Raise ConfigError where no command of ours can work."""
    memory_mib, files = memory_limit_mib(), file_limit()
    if memory_mib is not None and memory_mib < LEAST_MIB:
        raise ConfigError(
            f"memory is limited to {memory_mib} MiB here (ulimit -v), expected {LEAST_MIB} at "
            f"least and {AMPLE_MIB} for every command; raise the limit"
        )
    if files < LEAST_FILES:
        raise ConfigError(
            f"only {files} open files are allowed here (ulimit -n), expected {LEAST_FILES} at "
            "least; raise the limit"
        )
    tasks = task_limit()
    if tasks is not None and tasks < LEAST_TASKS:
        raise ConfigError(
            f"only {tasks} processes and threads are allowed here (ulimit -u), expected "
            f"{LEAST_TASKS} at least; raise the limit"
        )


def limits_hint(error: BaseException) -> str:
    """Return which limit an error may come from, to be added to its line; empty for none."""
    found: list[str] = []
    memory_mib = memory_limit_mib()
    if memory_mib is not None and memory_mib < AMPLE_MIB:
        found.append(f"memory is limited to {memory_mib} MiB here (ulimit -v)")
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        found.append(f"{file_limit()} open files are allowed here (ulimit -n)")
    if isinstance(error, OSError) and error.errno == errno.EFBIG:
        kib = resource.getrlimit(resource.RLIMIT_FSIZE)[0] // 1024
        found.append(f"files are limited to {kib} KiB here (ulimit -f)")
    tasks = task_limit()
    if isinstance(error, RuntimeError) and tasks is not None and tasks < AMPLE_TASKS:
        found.append(f"{tasks} processes and threads are allowed here (ulimit -u)")
    return f"; {', '.join(found)}" if found else ""


def is_lack(error: BaseException) -> bool:
    """Return whether an error says that the system gave no memory, thread or descriptor."""
    if isinstance(error, RuntimeError):
        return str(error) == NO_THREAD
    if isinstance(error, ImportError):
        return any(text in str(error) for text in UNLOADABLE)
    return isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in NO_ROOM)


def memory_limit_mib() -> int | None:
    """Return the address space in MiB that this process may have; None without a limit."""
    limits = [resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA)]
    known = [limit for limit in limits if limit != resource.RLIM_INFINITY]
    return min(known) // MIB if known else None


def file_limit() -> int:
    """Return how many files this process may have open."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def task_limit() -> int | None:
    """Return how many processes and threads this user may have; None without a limit."""
    limit = resource.getrlimit(resource.RLIMIT_NPROC)[0]
    return None if os.geteuid() == 0 or limit == resource.RLIM_INFINITY else limit
