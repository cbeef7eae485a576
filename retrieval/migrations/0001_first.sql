-- The tables that all collections share. A collection's own tables are made with it (schema.py).
-- Every table has `tenant`, and every unique key starts with it: partitions, Citus and row-level security need it.

CREATE TABLE howdah.collections (
    tenant          text        NOT NULL DEFAULT '' CHECK (octet_length(tenant) <= 200),
    id              bigint      NOT NULL GENERATED ALWAYS AS IDENTITY,
    name            text        NOT NULL CHECK (name <> '' AND octet_length(name) <= 200),
    model           text        NOT NULL,
    dimensions      integer     NOT NULL CHECK (dimensions BETWEEN 1 AND 16000),
    storage         text        NOT NULL,
    metric          text        NOT NULL,
    lexical         boolean     NOT NULL,
    language        text        NOT NULL,
    config          regconfig   NOT NULL,
    chunking        jsonb       NOT NULL DEFAULT '{}',
    scales          jsonb       NOT NULL DEFAULT '{}',
    settings        jsonb       NOT NULL DEFAULT '{}',
    metadata        jsonb       NOT NULL DEFAULT '{}',
    hidden          boolean     NOT NULL DEFAULT false,
    schema_version  integer     NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, name)
);

CREATE TABLE howdah.documents (
    tenant        text        NOT NULL DEFAULT '',
    id            bigint      NOT NULL GENERATED ALWAYS AS IDENTITY,
    collection    bigint      NOT NULL,
    root          text        NOT NULL,
    source        text        NOT NULL,
    content_hash  bytea       NOT NULL,
    made_by       text        NOT NULL,
    size          bigint,
    modified_at   timestamptz,
    title         text,
    media_type    text,
    metadata      jsonb       NOT NULL DEFAULT '{}',
    text          text,
    synced_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant, collection) REFERENCES howdah.collections (tenant, id) ON DELETE CASCADE,
    UNIQUE (tenant, collection, source)
);
COMMENT ON COLUMN howdah.documents.source IS 'root/relative/path: another machine syncs the same rows';
COMMENT ON COLUMN howdah.documents.made_by IS 'loader, chunker and model that made the chunks; another value re-does them';
COMMENT ON COLUMN howdah.documents.text IS 'what was extracted; every offset counts its code points';

-- Append-only: a writer adds what it changed, readers sum in their own snapshot, maintenance folds. Nobody waits.
CREATE TABLE howdah.corpus_stats (
    tenant      text   NOT NULL DEFAULT '',
    n           bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    collection  bigint NOT NULL,
    chunks      bigint NOT NULL,
    length      bigint NOT NULL,
    PRIMARY KEY (tenant, collection, n),
    FOREIGN KEY (tenant, collection) REFERENCES howdah.collections (tenant, id) ON DELETE CASCADE
);

CREATE TABLE howdah.conversations (
    tenant      text        NOT NULL DEFAULT '',
    id          text        NOT NULL CHECK (id <> '' AND octet_length(id) <= 1000),
    title       text,
    collection  text,
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, id)
);

CREATE TABLE howdah.messages (
    tenant        text        NOT NULL DEFAULT '',
    conversation  text        NOT NULL,
    n             bigint      NOT NULL GENERATED ALWAYS AS IDENTITY,
    message       jsonb       NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, conversation, n),
    FOREIGN KEY (tenant, conversation) REFERENCES howdah.conversations (tenant, id) ON DELETE CASCADE
);

CREATE TABLE howdah.failures (
    tenant      text        NOT NULL DEFAULT '',
    collection  bigint      NOT NULL,
    source      text        NOT NULL,
    error       text        NOT NULL,
    hint        text        NOT NULL DEFAULT '',
    failed_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, collection, source),
    FOREIGN KEY (tenant, collection) REFERENCES howdah.collections (tenant, id) ON DELETE CASCADE
);

-- Who is building an index or maintaining a collection; a holder that died lets go when it expires.
CREATE TABLE howdah.leases (
    tenant      text        NOT NULL DEFAULT '',
    name        text        NOT NULL,
    holder      text        NOT NULL,
    expires_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant, name)
);

-- to_tsvector fails above 1 MB of lexemes; phrases then reach the first 100,000
-- characters only; the postings of a long text are counted by `long_lexemes`.
CREATE FUNCTION howdah.tsv(config regconfig, content text) RETURNS tsvector
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    IF octet_length(content) <= 200000 THEN
        RETURN pg_catalog.to_tsvector(config, content);
    END IF;
    RETURN pg_catalog.to_tsvector(config, pg_catalog.left(content, 100000));
END $$;

-- Term counts of a text of any length. A tsvector stops counting positions at 16,383 and occurrences at 255 a lexeme,
-- so a long text is counted in pieces of at most 500 bytes. What has more than 250 bytes without a space (a table
-- without blanks, minified code) is taken apart at its punctuation first.
CREATE FUNCTION howdah.long_lexemes(config regconfig, content text) RETURNS TABLE (lexeme text, tf integer)
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT counted.lexeme, pg_catalog.sum(pg_catalog.cardinality(counted.positions))::integer
    FROM (
        WITH words AS MATERIALIZED (
            SELECT word, place FROM pg_catalog.regexp_split_to_table(content, '\s+') WITH ORDINALITY AS w (word, place)
        ),
        parts AS (
            SELECT word, place FROM words WHERE pg_catalog.octet_length(word) <= 250
            UNION ALL
            SELECT part, place
            FROM words, pg_catalog.regexp_split_to_table(word, '[[:punct:]\x21-\x2f\x3a-\x40\x5b-\x60\x7b-\x7e]+') AS part
            WHERE pg_catalog.octet_length(word) > 250 AND pg_catalog.octet_length(part) BETWEEN 1 AND 2046
        ),
        numbered AS (
            SELECT word, place,
                   pg_catalog.sum(pg_catalog.octet_length(word) + 1) OVER (ORDER BY place ROWS UNBOUNDED PRECEDING) / 250 AS piece
            FROM parts
        )
        SELECT pg_catalog.string_agg(word, ' ' ORDER BY place) AS piece FROM numbered GROUP BY numbered.piece
    ) AS pieces, pg_catalog.unnest(pg_catalog.to_tsvector(config, piece)) AS counted
    GROUP BY counted.lexeme
$$;

-- What a passage is embedded and indexed as: its contextual header, then its content.
CREATE FUNCTION howdah.indexed_text(title text, section text, content text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN title IS NULL AND section IS NULL THEN content
        WHEN title IS NULL OR section IS NULL THEN coalesce(title, section) || E'\n' || content
        ELSE title || ' › ' || section || E'\n' || content
    END
$$;
