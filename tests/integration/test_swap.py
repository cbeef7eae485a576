"""A program on langchain-postgres, unchanged but for its import, on the same database after `howdah adopt`."""

from pathlib import Path
from typing import Any

import psycopg
import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding
from psycopg.sql import SQL, Identifier

from howdah.retrieval.store import Store
from howdah.scripts.main import _run
from tests.integration import peers

SCRIPT = (Path(__file__).parent / "swap_script.py").read_text(encoding="utf-8")
THEIRS, OURS = "from langchain_postgres import PGVector", "from howdah import PGVector"


def program(import_line: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(compile(SCRIPT.replace(THEIRS, import_line), "swap_script.py", "exec"), names)
    return names


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:use_jsonb is not needed:UserWarning")
def test_the_same_program_gives_the_same_ids_in_the_same_order(
    url: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("langchain_postgres", reason="the extra 'langchain-postgres' is not installed")
    assert SCRIPT.count(THEIRS) == 1
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(SQL("ALTER DATABASE {} SET search_path = public").format(Identifier(conn.info.dbname)))
    model, engine = DeterministicFakeEmbedding(size=24), peers.langchain_engine(url)
    old = program(THEIRS)
    theirs = old["open_store"](model, engine)
    old["load"](theirs)
    before = old["ask"](theirs, model)

    monkeypatch.setenv("HOWDAH_DATABASE_URL", url)
    monkeypatch.delenv("HOWDAH_EMBEDDINGS", raising=False)
    assert _run(["adopt", "--collection", "my_docs", "--json"]) == 0
    new = program(OURS)
    ours = new["open_store"](model, url)
    after = new["ask"](ours, model)

    assert {key: value for key, value in after.items() if not key.startswith("score ")} == {
        key: value for key, value in before.items() if not key.startswith("score ")
    }
    for key in before:
        if key.startswith("score "):
            assert after[key] == pytest.approx(before[key], abs=1e-4)
    assert new["change"](ours) == old["change"](theirs)
    ours.database.close()
    engine.dispose()
