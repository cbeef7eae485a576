"""The embedded server's folders, and the account that owns them."""

import contextlib
import errno
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from howdah.retrieval.embedded_watch import server_name
from howdah.retrieval.errors import EmbeddedError

if TYPE_CHECKING:
    import pwd  # at run time only where it is used: importing this must not fail on Windows

ROOM_NEEDED = 256 * 1024 * 1024
ELSEWHERE = "set HOWDAH_HOME to a folder that it can reach, such as /var/lib/howdah"


class Credentials(TypedDict, total=False):
    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True, kw_only=True)
class Account:
    """The user that the server runs as. `credentials` are arguments for subprocess; empty where nothing changes."""

    name: str
    uid: int
    gid: int
    credentials: Credentials

    def may_enter(self, folder: Path) -> bool:
        """Whether this account may pass through `folder`; ACLs count."""
        info = folder.stat()
        groups = {self.gid, *self.credentials.get("extra_groups", ())}
        bit = stat.S_IXUSR if info.st_uid == self.uid else stat.S_IXGRP if info.st_gid in groups else stat.S_IXOTH
        return bool(info.st_mode & bit) or self._succeeds("test", "-x", str(folder))

    def _succeeds(self, *args: str) -> bool:
        done = subprocess.run(
            args, check=False, capture_output=True, cwd="/", env={"PATH": os.defpath}, **self.credentials
        )
        return done.returncode == 0


@dataclass(frozen=True)
class Folders:
    """Where everything of one embedded server lies."""

    home: Path

    @cached_property
    def base(self) -> Path:
        return self.home.expanduser().resolve() / "postgres"

    @property
    def data(self) -> Path:
        return self.base / "data"

    @property
    def log(self) -> Path:
        return self.base / "log"

    @property
    def ready_mark(self) -> Path:
        """Exists once the database `howdah` and its extension do."""
        return self.base / "ready"

    @property
    def socket(self) -> Path:
        # Not below home: a socket's path may have 107 bytes. Not /run/user/UID, which goes when the user logs out, and
        # not TMPDIR: every process must find the same folder.
        return Path("/tmp") / server_name(self.base)  # noqa: S108 - 0700 and checked, by make_private

    @property
    def is_initialised(self) -> bool:
        return (self.data / "PG_VERSION").exists()


def server_account(folders: Folders) -> Account:
    """The invoking user. As root: who owns the data or home already, else an unprivileged account that exists."""
    if os.geteuid() != 0:
        return _account(_invoking_user(), {})
    for user in _service_users(folders):
        if user and user.pw_uid != 0:
            groups = os.getgrouplist(user.pw_name, user.pw_gid)
            return _account(user, {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": groups})
    raise EmbeddedError(
        "PostgreSQL does not run as root, and there is no account 'postgres' or 'nobody' to run it as",
        hint="run as a normal user, or run: useradd --system postgres",
    )


def _account(user: "pwd.struct_passwd", credentials: Credentials) -> Account:
    return Account(name=user.pw_name, uid=user.pw_uid, gid=user.pw_gid, credentials=credentials)


def _service_users(folders: Folders) -> "Iterator[pwd.struct_passwd | None]":
    for folder in (folders.data, folders.base.parent):
        if folder.exists():
            yield user_of(folder.stat().st_uid)
    yield user_of("postgres")
    yield user_of("nobody")


def _invoking_user() -> "pwd.struct_passwd":
    if user := user_of(os.geteuid()):
        return user
    raise EmbeddedError(
        f"user id {os.geteuid()} has no name on this machine, and PostgreSQL runs only under one that has",
        hint="add it to /etc/passwd, or set HOWDAH_DATABASE_URL to a server of yours",
    )


def user_of(key: int | str) -> "pwd.struct_passwd | None":
    import pwd

    try:
        return pwd.getpwuid(key) if isinstance(key, int) else pwd.getpwnam(key)
    except KeyError:
        return None


def make_base(folders: Folders, account: Account) -> None:
    """Make home and the folder for the server in it; as root, let the service account pass through them."""
    base = folders.base
    if account.credentials:
        check_reach(base.parent, account)
    try:
        base.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _make_inside(base)
    except OSError as exc:
        raise unwritable(base, exc) from exc
    if not os.access(base, os.W_OK | os.X_OK):
        raise unwritable(base, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))
    if account.credentials:
        _let_in(base.parent, account)
        _let_in(base, account)


def _make_inside(base: Path) -> None:
    if not base.exists():
        base.mkdir(mode=0o700)
        if os.geteuid() == 0:  # in a user's home it is the user's
            os.chown(base, base.parent.stat().st_uid, -1, follow_symlinks=False)


def unwritable(base: Path, exc: OSError) -> EmbeddedError:
    if exc.errno in (errno.ENOSPC, errno.EDQUOT):
        return no_room(base, "the disk is full")
    return EmbeddedError(f"{base} cannot be written ({exc.strerror})", hint="set HOWDAH_HOME to a folder of yours")


def check_reach(path: Path, account: Account) -> None:
    """Raise when `account` cannot pass through a folder above `path`: permissions there are not ours to change."""
    for folder in reversed(path.parents):
        if folder.is_dir() and not account.may_enter(folder):
            raise EmbeddedError(
                f"PostgreSQL does not run as root, and its account {account.name!r} cannot reach {path}: "
                f"{folder} is closed to it",
                hint=ELSEWHERE,
            )


def _let_in(folder: Path, account: Account) -> None:
    """Let the service account's group, and nobody else, pass through a folder of root's that is closed to all."""
    if account.may_enter(folder):
        return
    info = folder.stat()
    if info.st_uid != 0 or info.st_mode & stat.S_IRWXG:
        if account.may_enter(folder):  # another process has just let it in
            return
        raise EmbeddedError(
            f"PostgreSQL does not run as root, and its account {account.name!r} cannot enter {folder}", hint=ELSEWHERE
        )
    os.chown(folder, -1, account.gid)
    folder.chmod(stat.S_IMODE(info.st_mode) | stat.S_IXGRP)


def make_private(folder: Path, account: Account) -> None:
    """Make the 0700 folder of the account's, or check that the one which is there is.

    Raises:
        EmbeddedError: it is somebody else's (made to catch our clients), or no folder but a symbolic link.
    """
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as exc:
        raise _not_ours(folder, account, f"cannot be opened as a folder ({exc.strerror})") from exc
    try:
        owner = os.fstat(fd).st_uid
        if owner not in {account.uid, os.geteuid()}:
            raise _not_ours(folder, account, f"belongs to {getattr(user_of(owner), 'pw_name', owner)!r}")
        os.fchmod(fd, 0o700)
        if owner != account.uid:
            os.fchown(fd, account.uid, account.gid)
    finally:
        os.close(fd)


def _not_ours(folder: Path, account: Account, got: str) -> EmbeddedError:
    return EmbeddedError(
        f"{folder} {got}, wanted a folder of {account.name!r}", hint="remove it, or use another HOWDAH_HOME"
    )


def write_shared(path: Path, text: str, account: Account) -> None:
    """A file in the base that the server can read and only the base's owner can write."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640)
    with open(fd, "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor, not a path
        file.write(text)
        if account.credentials:
            os.fchown(fd, path.parent.stat().st_uid, account.gid)
            os.fchmod(fd, 0o640)


def check_room(folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < ROOM_NEEDED:
        raise no_room(folder, f"{free / 1e6:.0f} MB are free, {ROOM_NEEDED / 1e6:.0f} MB are needed")


def no_room(folder: Path, detail: str) -> EmbeddedError:
    return EmbeddedError(
        f"no space left for the database in {folder}: {detail}", hint="make room, or set HOWDAH_HOME to another disk"
    )


def size_of(folder: Path) -> int:
    """Bytes of all files below; those that vanish meanwhile count nothing."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(path, name)).st_size  # noqa: PTH118 - half the time of Path
            except OSError:
                continue
    return total
