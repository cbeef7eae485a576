"""What goes with deleted passages: the text that traces and chat messages have of them, kept embeddings, failures.

It is read before the passages go and carried out in their transaction, so that either all of it is done or nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from psycopg.rows import dict_row, tuple_row

from howdah.retrieval import erasing, failures, quoted
from howdah.retrieval.cache_key import text_hash
from howdah.retrieval.chunking import embedding_text, passage_text
from howdah.retrieval.collection import Collection
from howdah.retrieval.database import Conn
from howdah.retrieval.query import Condition, Query
from howdah.retrieval.quoted import Json, Links

SLICE = 5_000
"""Passages whose words are held in memory at once; for each such slice the unlinked messages are read once."""


@dataclass(kw_only=True)
class Removed:
    """How much went. `traces` and `messages` stay, without the text of what was deleted; of the others the rows went.

    `cached` are kept embeddings.
    """

    documents: int = 0
    chunks: int = 0
    traces: int = 0
    messages: int = 0
    cached: int = 0
    failures: int = 0

    def __iadd__(self, other: "Removed") -> "Removed":
        for name, count in vars(other).items():
            setattr(self, name, getattr(self, name) + count)
        return self


@dataclass(frozen=True)
class Item:
    """A trace (`key` is its id) or a message (its conversation and number), and what it rests on."""

    key: str | tuple[str, int]
    session: str | None
    links: Links
    row: Json

    @property
    def text(self) -> str:
        return quoted.text_of_message(self.row) if isinstance(self.key, tuple) else quoted.text_of_trace(self.row)


class Erasure:
    """The erasure of some chunks of one collection, in the transaction of `conn`. The constructor does no I/O."""

    def __init__(self, collection: Collection, conn: Conn) -> None:
        self.collection, self.conn = collection, conn
        self.ids: set[str] = set()
        self.numbers: list[int] = []
        self.quoting: set[str | tuple[str, int]] = set()
        self.contents: dict[bytes, set[bytes]] = {}
        self.others: dict[str, int] = {}

    def look(self, where: Condition) -> None:
        """Before the chunks go: their ids, the hashes of their texts, and which unlinked answers have their words."""
        rows = self._rows(erasing.collections(self.collection.tenant))
        self.others = {row["name"]: row["id"] for row in rows if row["id"] != self.collection.id}
        stale: set[str] | None = None
        for rows in self._slices(erasing.doomed(self.collection, where), "howdah_doomed"):
            self.ids.update(row["id"] for row in rows)
            self.numbers += [row["n"] for row in rows]
            for row in rows:
                self.contents.setdefault(sha256(row["content"].encode()).digest(), set()).update(_embedded(row))
            stale = self._stale() if stale is None else stale
            self._compare(rows, stale)

    def carry_out(self, sources: Sequence[str], *, dropped: bool = False) -> Removed:
        """After they are gone. `sources`: documents of which nothing is left. `dropped`: nor of the collection."""
        gone = set(sources)
        self._former()
        rests = [item for item in self._items() if self._rests(item, gone)]
        sessions = sorted({item.session for item in rests if item.session})
        if rests:
            self._run(erasing.erase_rewritten(self.collection, sessions))
        for item in rests:
            self._erase(item, gone)
        return Removed(
            traces=sum(isinstance(item.key, str) for item in rests),
            messages=sum(isinstance(item.key, tuple) for item in rests),
            cached=self._uncache(dropped=dropped),
            failures=self._run(failures.clear(self.collection, sorted(gone))) if gone else 0,
        )

    def _former(self) -> None:
        """While a change of the embedding model can be taken back, the chunks' metadata is in another table, too."""
        if self.collection.reembedding is not None and self.numbers:
            for query in erasing.former(self.collection.reembedding.other.within(self.collection), self.numbers):
                self._run(query)

    # -- traces and messages

    def _rests(self, item: Item, gone: set[str]) -> bool:
        if item.links.touch(self.ids, gone) or item.key in self.quoting:
            return True
        # What cites nothing may still name a document, as the chat does where it is asked what there is.
        return isinstance(item.key, tuple) and not item.links.ids and any(source in item.text for source in gone)

    def _items(self) -> Iterator[Item]:
        """Everything in which the collection's text may be."""
        for rows in self._slices(erasing.traces(self.collection), "howdah_traces"):
            for row in rows:
                yield Item(row["id"], row["session"], quoted.links_of_trace(row), row)
        for rows in self._slices(erasing.messages(self.collection.tenant), "howdah_messages"):
            for row in rows:
                message = row["message"]
                if self._may_be_of(quoted.collection_of_message(message) or row["collection"]):
                    key = (row["conversation"], row["n"])
                    yield Item(key, row["conversation"], quoted.links_of_message(message), message)

    def _may_be_of(self, name: str | None) -> bool:
        """Whether a message about the collection `name` may be about this one, which may have had another name."""
        return name not in self.others

    def _stale(self) -> set[str]:
        """Ids that are cited and that no chunk has: of a document that was changed or moved since."""
        cited = sorted(set().union(*(item.links.ids for item in self._items())))
        found: set[str] = set()
        for begin in range(0, len(cited), SLICE):
            found.update(row["id"] for row in self._rows(erasing.living(self.collection, cited[begin : begin + SLICE])))
        return set(cited) - found

    def _compare(self, rows: Sequence[Json], stale: set[str]) -> None:
        """Note the answers that have words of these passages, of those that do not say what they rest on, or not surely."""
        words = {run for row in rows for run in quoted.runs(row["content"])}
        for item in self._items():
            unsure = not item.links.told or not item.links.ids.isdisjoint(stale)
            if unsure and item.key not in self.quoting and any(run in words for run in quoted.runs(item.text)):
                self.quoting.add(item.key)

    def _erase(self, item: Item, gone: set[str]) -> None:
        tenant = self.collection.tenant
        if isinstance(item.key, tuple):
            self._run(erasing.erase_message(tenant, *item.key, quoted.erased_message(item.row)))
        else:
            changed = quoted.erased_trace(item.row, self.ids, gone, quotes=item.key in self.quoting)
            self._run(erasing.erase_trace(tenant, item.key, changed))

    # -- kept embeddings

    def _uncache(self, *, dropped: bool) -> int:
        """Delete the embeddings of texts that no passage of the tenant has any more."""
        tenant, by_hash = self.collection.tenant, {h: content for content, some in self.contents.items() for h in some}
        hashes = sorted(by_hash)
        kept = [
            bytes(row["hash"])
            for begin in range(0, len(hashes), SLICE)
            for row in self._rows(erasing.cached(tenant, hashes[begin : begin + SLICE]))
        ]
        if not kept:
            return 0
        contents = sorted({by_hash[item] for item in kept})
        numbers = [*self.others.values(), *([] if dropped else [self.collection.id])]
        held = {
            bytes(row["hash"])
            for number in numbers
            for begin in range(0, len(contents), SLICE)
            for row in self._rows(erasing.held(tenant, number, contents[begin : begin + SLICE]))
        }
        mine = [item for item in kept if by_hash[item] not in held]
        return sum(
            self._run(erasing.uncache(tenant, mine[begin : begin + SLICE])) for begin in range(0, len(mine), SLICE)
        )

    # -- I/O

    def _slices(self, query: Query, name: str) -> Iterator[list[Json]]:
        with self.conn.cursor(name, row_factory=dict_row) as cursor:
            cursor.execute(*query)
            while rows := cursor.fetchmany(SLICE):
                yield rows

    def _rows(self, query: Query) -> list[Json]:
        return self.conn.cursor(row_factory=dict_row).execute(*query).fetchall()

    def _run(self, query: Query) -> int:
        return self.conn.cursor(row_factory=tuple_row).execute(*query).rowcount


def _embedded(row: dict[str, Any]) -> set[bytes]:
    """Hashes of what the passage may have been embedded as: with its header or, through the API, without one."""
    source, title, section, content = row["source"], row["title"], row["section"], row["content"]
    texts = {
        content,
        passage_text(source, title, section, content),
        embedding_text(title, section, content),
        embedding_text(None, section, content),
    }
    return {text_hash(text) for text in texts}
