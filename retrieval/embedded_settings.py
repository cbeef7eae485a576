"""The settings that the embedded server gets from the machine it runs on."""

import os
from dataclasses import dataclass
from pathlib import Path

MB = 1024 * 1024
GB = 1024 * MB


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What the server may use: memory in bytes, cores, and the free bytes of /dev/shm (None where there is none)."""

    memory: int
    cores: int
    shm_free: int | None

    @property
    def maintenance_work_mem(self) -> int:
        """An eighth of the memory: an HNSW build that leaves it becomes several times slower."""
        return _between(self.memory // 8, 64 * MB, 2 * GB)

    @property
    def dynamic_shared_memory_type(self) -> str:
        """A parallel HNSW build allocates maintenance_work_mem at once; Docker's /dev/shm has 64 MB."""
        enough = self.shm_free is None or self.shm_free > self.maintenance_work_mem + 64 * MB
        return "posix" if enough else "mmap"


def this_machine() -> Machine:
    return Machine(memory=_memory(), cores=_cores(), shm_free=_shm_free())


def howdah_conf(machine: Machine) -> str:
    """The text of howdah.conf, which postgresql.conf includes."""
    settings = _memory_settings(machine) | _parallel_settings(machine.cores) | _FIXED | QUIET
    lines = "\n".join(f"{name} = {value}" for name, value in settings.items())
    return f"# Written once, from this machine's memory and cores. Your own settings: ALTER SYSTEM SET.\n{lines}\n"


def quieter(conf: str) -> str:
    """`conf`, with those of the settings of QUIET that an older Howdah did not write into it."""
    missing = {name: value for name, value in QUIET.items() if f"\n{name} =" not in conf}
    return conf + "".join(f"{name} = {value}\n" for name, value in missing.items())


def pg_hba_conf() -> str:
    return "local all all peer map=howdah\nlocal replication all peer map=howdah\n"


def pg_ident_conf(users: set[str]) -> str:
    """Who may connect, as any role: the kernel vouches for them, so that no password exists."""
    return "".join(f'howdah "{user}" all\n' for user in sorted(users))


_FIXED = {
    "max_connections": "100",
    "jit": "off",
    "random_page_cost": "1.1",
    "wal_compression": "on",
    "max_wal_size": "'2GB'",
    "checkpoint_timeout": "'15min'",
    "logging_collector": "on",
    "log_directory": "'../log'",
    "log_filename": "'server-%a.log'",
    "log_rotation_age": "'1d'",
    "log_truncate_on_rotation": "on",
    "log_checkpoints": "off",
    "log_min_duration_statement": "'10s'",
    "lc_messages": "'C'",
}

QUIET = {
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_error_verbosity": "'terse'",
}
"""Keeps documents and questions out of the log: they are statements' parameters, and an error's detail and context may
quote them."""


def _memory_settings(machine: Machine) -> dict[str, str]:
    return {
        "shared_buffers": _in_mb(_between(machine.memory // 4, 128 * MB, 2 * GB)),
        "effective_cache_size": _in_mb(max(machine.memory // 2, 256 * MB)),
        "work_mem": "'32MB'",
        "maintenance_work_mem": _in_mb(machine.maintenance_work_mem),
        "autovacuum_work_mem": _in_mb(_between(machine.memory // 64, 32 * MB, 256 * MB)),
    }


def _parallel_settings(cores: int) -> dict[str, str]:
    return {
        "max_worker_processes": str(8 + cores),
        "max_parallel_workers": str(max(2, cores)),
        "max_parallel_maintenance_workers": str(_between(cores - 1, 1, 7)),
        "max_parallel_workers_per_gather": str(_between(cores // 2, 1, 4)),
    }


def _between(value: int, low: int, high: int) -> int:
    return max(low, min(value, high))


def _in_mb(size: int) -> str:
    return f"'{size // MB}MB'"


def _memory() -> int:
    """The machine's memory, or less where a container's limit says so."""
    installed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limits = (_limit(Path("/sys/fs/cgroup") / name) for name in ("memory.max", "memory/memory.limit_in_bytes"))
    return min([installed, *(limit for limit in limits if limit)])


def _limit(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # absent, or "max"
        return None


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _shm_free() -> int | None:
    try:
        shm = os.statvfs("/dev/shm")  # noqa: S108 - PostgreSQL's choice, not a file of ours
    except OSError:
        return None
    return shm.f_bavail * shm.f_frsize
