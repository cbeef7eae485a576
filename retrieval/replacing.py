"""One document at a time put in place of what was there, or taken away, each in one transaction."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from psycopg.errors import UniqueViolation
from psycopg.rows import tuple_row

from howdah.retrieval import batches, documents, writes
from howdah.retrieval.collection import Collection
from howdah.retrieval.cutting import Ready
from howdah.retrieval.database import Conn
from howdah.retrieval.plans import checked
from howdah.retrieval.report import Chunks
from howdah.retrieval.store import Store
from howdah.retrieval.types import Array


class Replacing:
    """Writes documents of one collection. `embed` gives the vectors of texts that turn out to be missing after all."""

    def __init__(self, store: Store, collection: Collection, embed: Callable[[list[str]], Array]) -> None:
        self.store, self.collection, self.embed = store, collection, embed

    def put(self, ready: Ready, vectors: dict[str, Array]) -> Chunks:
        """Write the document; `vectors` are those of its new chunks, by id. Returns what became of its chunks."""
        collection = self.collection
        with self._transaction() as conn:
            cursor = conn.cursor(row_factory=tuple_row)
            doubled = 0 if ready.before is None else self._move(conn, ready.before, ready)
            found = cursor.execute(*documents.put(collection, ready.row)).fetchone()
            assert found is not None
            there = {row[0] for row in cursor.execute(*documents.lock_chunks(collection, found[0]))}
            kept = [place for place, item in enumerate(ready.chunks) if item.id in there]
            added = [place for place, item in enumerate(ready.chunks) if item.id not in there]
            gone = there.difference(item.id for item in ready.chunks)
            if gone:
                self.store.delete(collection, writes.where_ids(sorted(gone)), conn=conn)
            if kept:
                self._keep(conn, ready, kept)
            if added:
                self._add(conn, ready, added, vectors, document=found[0])
        return Chunks(added=len(added), reused=len(kept), deleted=len(gone) + doubled)

    def _move(self, conn: Conn, before: str, ready: Ready) -> int:
        """Give the document its new source; where another run has moved it meanwhile that is left to `put`.

        Where another run has loaded it under the new name, the old one is deleted; how many chunks that takes.
        """
        query = documents.rename(self.collection, before, source=ready.row.source, root=ready.row.root)
        try:
            with conn.transaction():
                found = conn.cursor(row_factory=tuple_row).execute(*query).fetchone()
                if found is not None:
                    conn.execute(*documents.lock_chunks(self.collection, found[0]))  # an UPDATE takes any order
                    conn.execute(*documents.rename_chunks(self.collection, found[0], ready.renamed))
        except UniqueViolation:
            return self._delete(conn, before)
        return 0

    def _keep(self, conn: Conn, ready: Ready, places: list[int]) -> None:
        chunks = [ready.chunks[place] for place in places]
        conn.execute(*documents.move(self.collection, chunks))
        metadata = [ready.metadata[place] for place in places]
        conn.execute(*documents.describe(self.collection, [item.id for item in chunks], metadata))

    def _add(self, conn: Conn, ready: Ready, places: list[int], vectors: dict[str, Array], *, document: int) -> None:
        """Write the chunks that are not there; another run may have deleted some since they were compared: embed these."""
        unknown = [place for place in places if ready.chunks[place].id not in vectors]
        if unknown:
            late = self.embed([ready.texts[place] for place in unknown])
            vectors = {**vectors, **{ready.chunks[place].id: late[i] for i, place in enumerate(unknown)}}
        chunks = [ready.chunks[place] for place in places]
        embeddings = [vectors[item.id] for item in chunks]
        mine = self.collection
        array = checked(embeddings, count=len(chunks), spec=mine.spec, collection=mine.name, index=mine.index)
        batch = batches.Batch(chunks, [ready.metadata[place] for place in places], array, False, document)
        self.store.add(self.collection, batch, conn=conn)

    def _delete(self, conn: Conn, source: str) -> int:
        cursor = conn.cursor(row_factory=tuple_row).execute(*documents.remove(self.collection, [source]))
        gone = [row[0] for row in cursor]
        return self.store.delete(self.collection, writes.where_documents(gone), conn=conn)

    @contextmanager
    def _transaction(self) -> Iterator[Conn]:
        self.store.prepare_schema()
        with self.store.database.connection() as conn, conn.transaction():
            yield conn
