"""Checks of the server: versions, how this connection reaches it, and who it is."""

from collections.abc import Iterator
from ipaddress import ip_address
from shutil import disk_usage

from howdah.retrieval import relations
from howdah.retrieval.conninfo import Conninfo
from howdah.retrieval.errors import DependencyMissing
from howdah.retrieval.health.access import with_its_own
from howdah.retrieval.health.check import About, Check, size
from howdah.retrieval.health.patient import Facts, Patient
from howdah.retrieval.relations import shown
from howdah.retrieval.server import OLDEST_PGVECTOR, OLDEST_SERVER, SOUND_PGVECTOR

PARALLEL_SOUND = (0, 8, 2)
"""pgvector before it overflows in a parallel build of HNSW (its CHANGELOG, CVE-2026-3172)."""
SOUND_MINOR = {14: 24, 15: 19, 16: 15, 17: 11, 18: 6}
"""The first release of each PostgreSQL in which a tsvector cannot overflow (CVE-2026-14662)."""
LITTLE_DISK, NO_DISK = 0.1, 0.02
"""Shares of a disk left free: a rebuilt index needs room for a second one, and a full disk stops the server."""


def server_version(patient: Patient) -> Iterator[Check]:
    yield judge_server(patient.facts.version)


def judge_server(number: int) -> Check:
    """By server_version_num, such as 180006."""
    about, major, minor = About("server-version"), number // 10_000, number % 10_000
    if major < OLDEST_SERVER:
        return about.fail(
            f"PostgreSQL {major}.{minor}: Howdah needs {OLDEST_SERVER} or newer", "-- upgrade the server: pg_upgrade"
        )
    if minor < SOUND_MINOR.get(major, 0):
        sound = f"{major}.{SOUND_MINOR[major]}"
        return about.warn(
            f"PostgreSQL {major}.{minor}: before {sound} a crafted text can overflow a tsvector (CVE-2026-14662)",
            f"-- install PostgreSQL {sound} or newer and restart; the data stays as it is",
        )
    return about.ok(f"PostgreSQL {major}.{minor}")


def pgvector_version(patient: Patient) -> Iterator[Check]:
    found = patient.facts
    sound = found.vector_version is None or _numbers(found.vector_version) >= SOUND_PGVECTOR
    indexes = [
        relations.shown(table.relation.schema, index.name)
        for table in ([] if sound else patient.tables)
        for index in table.indexes
        if index.method == "hnsw"
    ]
    yield judge_pgvector(found.vector_version, found.vector_available, indexes)


def judge_pgvector(version: str | None, available: str | None, hnsw: list[str]) -> Check:
    """`available` is what the server would install; `hnsw` names the indexes to be rebuilt after an upgrade."""
    about = About("pgvector-version")
    if version is None:
        return _absent(about, available)
    installed, newest = _numbers(version), _numbers(available or version)
    upgrade = _upgrade(newest, hnsw)
    if installed < OLDEST_PGVECTOR:
        return about.fail(f"pgvector {version}: Howdah needs 0.8.0 or newer", upgrade)
    if installed < PARALLEL_SOUND:
        return about.fail(
            f"pgvector {version}: a parallel build of an HNSW index can overflow and show other rows' memory"
            " (CVE-2026-3172, mended in 0.8.2), and a vacuum can corrupt the index (mended in 0.8.4)",
            upgrade,
        )
    if installed < SOUND_PGVECTOR:
        return about.warn(
            f"pgvector {version}: a vacuum can corrupt an HNSW index (mended in 0.8.4); after the upgrade each is rebuilt",
            upgrade,
        )
    if installed < newest:
        return about.warn(
            f"pgvector {version} is what this database declares and the server has {available}",
            "ALTER EXTENSION vector UPDATE;",
        )
    return about.ok(f"pgvector {version}")


def _absent(about: About, available: str | None) -> Check:
    if available is None:
        return about.fail(
            "this server has no pgvector installed", "-- on the server's machine: apt install postgresql-18-pgvector"
        )
    return about.fail("this database has no extension vector", "CREATE EXTENSION vector; -- as a superuser")


def _upgrade(newest: tuple[int, ...], hnsw: list[str]) -> str:
    first = "" if newest >= SOUND_PGVECTOR else "-- install pgvector 0.8.6 or newer on the server's machine, then:\n"
    rebuilt = "".join(f"\nREINDEX INDEX CONCURRENTLY {name};" for name in hnsw)
    return f"{first}ALTER EXTENSION vector UPDATE;{rebuilt}"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


# -- how it is reached, and by whom


def encryption(patient: Patient) -> Iterator[Check]:
    yield judge_encryption(patient.conninfo, tls=patient.facts.tls)


def judge_encryption(conninfo: Conninfo, *, tls: bool) -> Check:
    """A connection that leaves the machine has to be encrypted: passwords, questions and documents go over it."""
    about, host = About("encryption"), str(conninfo.parts.get("hostaddr") or conninfo.parts.get("host") or "")
    if tls:
        return about.ok(f"the connection to {host} is encrypted")
    if not host or all(map(_here, host.split(","))):
        return about.ok("the connection does not leave this machine")
    return about.warn(
        f"the connection to {host} is not encrypted: documents and questions can be read on the way",
        "-- put sslmode=verify-full&sslrootcert=system into the database URL; the server needs ssl = on",
    )


def _here(host: str) -> bool:
    """Whether a host of a connection string is this machine: a socket's folder, localhost or a loopback address."""
    if not host or host.startswith(("/", "@")) or host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def superuser(patient: Patient) -> Iterator[Check]:
    tables = patient.tables if patient.facts.superuser and not patient.embedded else []
    others = [table.relation for table in tables if table.collection is None]
    foreign = dict.fromkeys(name for relation in others for name in with_its_own(relation))
    yield judge_superuser(patient.facts, list(foreign), embedded=patient.embedded)


def judge_superuser(facts: Facts, foreign: list[str], *, embedded: bool) -> Check:
    """`foreign` are the tables of vectors that are not Howdah's."""
    about = About("superuser")
    if not facts.superuser:
        return about.ok(f"{facts.user} is not a superuser")
    if embedded:
        return about.ok("the embedded server has one user, this machine's")
    role = "howdah_app"
    return about.warn(
        f"{facts.user} is a superuser: whoever gets hold of the URL owns the server, its files and its programs",
        f"CREATE ROLE {role} LOGIN; -- \\password {role} in psql, then the database URL with this user\n"
        f"GRANT CONNECT, CREATE, TEMPORARY ON DATABASE {shown(facts.database)} TO {role};\n"
        f"GRANT pg_monitor TO {role}; -- to see what howdah doctor looks at\n{_rights(role, foreign)}",
    )


def _rights(role: str, foreign: list[str]) -> str:
    """What a role needs to use a schema of Howdah's, where there is one, whose owner also builds indexes; and others' tables."""
    granted = "".join(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {role};\n" for table in foreign)
    return granted + (
        "DO $$ DECLARE t record; BEGIN\n"
        "  FOR t IN SELECT oid::regclass AS name FROM pg_class"
        " WHERE relnamespace = to_regnamespace('howdah') AND relkind = 'r' LOOP\n"
        f"    EXECUTE format('ALTER TABLE %s OWNER TO {role}', t.name);\n  END LOOP;\n"
        f"  IF to_regnamespace('howdah') IS NOT NULL THEN ALTER SCHEMA howdah OWNER TO {role}; END IF;\nEND $$;"
    )


def pooler(patient: Patient) -> Iterator[Check]:
    about = About("pooler")
    try:
        server = patient.server
    except DependencyMissing:
        yield about.ok("not looked for: searches cannot run before pgvector is there")
        return
    yield judge_pooler(pooled=server.pooler, prepares=server.prepares)


def judge_pooler(*, pooled: bool, prepares: bool) -> Check:
    about = About("pooler")
    if not pooled:
        return about.ok("every session is this program's own")
    if prepares:
        return about.ok("a transaction-mode pooler that keeps prepared statements")
    return about.warn(
        "a transaction-mode pooler without prepared statements: every search is planned anew and sends its settings along",
        "-- in pgbouncer.ini, PgBouncer 1.21 or newer: max_prepared_statements = 200; then RELOAD;",
    )


def disk_space(patient: Patient) -> Iterator[Check]:
    about, folder = About("disk-space"), patient.facts.data_directory
    if folder is None:
        yield about.warn(
            "the server does not say where its data is: this user may not read the setting",
            patient.grant,
        )
        return
    host = str(patient.conninfo.parts.get("hostaddr") or patient.conninfo.parts.get("host") or "")
    try:
        usage = disk_usage(folder) if _here(host) else None
    except OSError:  # another machine's, or a container's
        usage = None
    if usage is None:
        yield about.ok(f"the data is in {folder} on the server's machine, which cannot be seen from here")
        return
    largest = max((heap.total for heap in patient.heaps), default=0)
    yield judge_disk(folder, total=usage.total, free=usage.free, largest=largest)


def judge_disk(folder: str, *, total: int, free: int, largest: int) -> Check:
    """`largest` is the biggest table's bytes: to rewrite it, or an index of it, takes as much again."""
    about, seen = About("disk-space"), f"{size(free)} of {size(total)} are free where {folder} is"
    fix = f"-- free some room, or move the data to a larger disk: df -h {folder}"
    if free < NO_DISK * total:
        return about.fail(f"{seen}: a full disk stops the server", fix)
    if free < LITTLE_DISK * total or free < 2 * largest:
        return about.warn(f"{seen}: too little to rebuild an index or a table beside the old one", fix)
    return about.ok(seen)
