"""How many files the process may hold open: each connection is one."""

import resource

from structlog import get_logger

_log = get_logger("posthouse.app")


def allow_many() -> None:
    """Raises the process's own limit to what the system lets it have.

    Shells and supervisors start processes with 1,024, for programs that still use select().
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError) as error:
        _log.warning("few open files allowed", limit=soft, why=str(error))
