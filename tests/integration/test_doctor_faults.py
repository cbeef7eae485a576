"""Each fault is planted on a real server: the doctor names it, and nothing else; its fix, pasted into psql, mends it."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import errors

from howdah.retrieval.embeddings import LOCAL_IDENTITY
from tests.integration.faults import FAULTS, OURS, THEIRS, Fault
from tests.integration.ward import ROLE, Ward, doctor, make_ours, make_theirs, ward, wrong


@pytest.fixture(scope="module")
def server() -> Iterator[Ward]:
    with ward() as found:
        yield found


@pytest.fixture(scope="module")
def templates(server: Ward, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return {"ours": make_ours(server, Path(tmp_path_factory.mktemp("docs"))), "theirs": make_theirs(server)}


class Bed:
    """Copies of the sound databases: one each, for as long as it is mended to where it was."""

    def __init__(self, server: Ward, templates: dict[str, str]) -> None:
        self.server, self.templates, self.open = server, templates, {}

    def database(self, where: str) -> str:
        if where not in self.open:
            clone = self.server.clone(self.templates[where])
            self.open[where] = clone.__enter__(), clone
        return self.open[where][0]

    def discard(self, where: str) -> None:
        _, clone = self.open.pop(where)
        clone.__exit__(None, None, None)


@pytest.fixture(scope="module")
def bed(server: Ward, templates: dict[str, str]) -> Iterator[Bed]:
    found = Bed(server, templates)
    yield found
    for where in list(found.open):
        found.discard(where)


def run(server: Ward, database: str, script: str) -> None:
    """Statement by statement, as a superuser; one that a time-out was set for may be cancelled."""
    with psycopg.connect(server.at(database), autocommit=True) as conn:
        for statement in statements(script):
            try:
                conn.execute(statement.encode())
            except errors.QueryCanceled:
                assert "statement_timeout" in script


def statements(script: str) -> list[str]:
    if "$$" in script:
        return [script]
    return [statement for statement in (part.strip() for part in script.split(";")) if statement]


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOWDAH_EMBEDDINGS", "LANGSMITH_TRACING", "LANGCHAIN_TRACING_V2", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("where", ["ours", "theirs"])
def test_a_sound_database_is_left_in_peace(server, bed, capsys, where):
    code, found = doctor(capsys, server.at(bed.database(where), ROLE), "--strict")
    assert wrong(found) == {}
    assert code == 0
    assert len({check["name"] for check in found["checks"]}) >= 35


@pytest.mark.parametrize(("fault", "where"), FAULTS, ids=[f"{fault.name} ({where})" for fault, where in FAULTS])
def test_it_names_the_fault_and_mends_it(server: Ward, bed: Bed, capsys, fault: Fault, where: str) -> None:
    database = bed.database(where)
    names = {**(OURS if where == "ours" else THEIRS), "db": database, "model": LOCAL_IDENTITY}
    url, sound = server.at(database, ROLE), False
    try:
        run(server, database, fault.plant.format(**names))
        if fault.restart:
            server.restart()
        code, found = doctor(capsys, url)
        bad = wrong(found)
        assert set(bad) == {fault.check} | fault.also, bad
        assert bad[fault.check]["status"] == fault.status
        assert fault.fix.format(**names) in bad[fault.check]["fix"]
        assert code == (4 if fault.status == "fail" else 0)
        if fault.runs:
            server.mend(bad[fault.check]["fix"], database)
        else:
            run(server, database, fault.undo.format(**names))
        if fault.restart and fault.check == "shared-buffers":
            server.restart()
        _, found = doctor(capsys, url)
        assert wrong(found) == {}
        run(server, database, fault.reset.format(**names))
        if fault.restart:
            server.restart()
        sound = True
    finally:
        if not sound:
            run(server, database, fault.reset.format(**names))
            bed.discard(where)
