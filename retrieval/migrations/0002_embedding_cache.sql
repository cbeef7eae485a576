-- Embeddings by model and text, so that no text is embedded twice. Nothing is read across models or tenants.
-- One table for passages and queries: `kind` is in the key because most models embed the two differently.

CREATE TABLE howdah.embedding_cache (
    tenant     text        NOT NULL DEFAULT '' CHECK (octet_length(tenant) <= 200),
    model      text        NOT NULL CHECK (octet_length(model) <= 400),
    kind       text        NOT NULL CHECK (kind IN ('passage', 'query')),
    used_at    timestamptz NOT NULL DEFAULT now(),
    hits       integer     NOT NULL DEFAULT 0,
    hash       bytea       NOT NULL CHECK (octet_length(hash) = 32),
    embedding  bytea       NOT NULL,
    PRIMARY KEY (tenant, model, kind, hash)
);
-- Floats do not compress: trying costs time at each write.
ALTER TABLE howdah.embedding_cache ALTER COLUMN embedding SET STORAGE EXTERNAL;
-- The order in which rows are evicted, and their number, by an index-only scan.
CREATE INDEX embedding_cache_used ON howdah.embedding_cache (tenant, model, kind, used_at);

COMMENT ON COLUMN howdah.embedding_cache.model IS 'name#digest of the model and of those of its settings that may change a vector';
COMMENT ON COLUMN howdah.embedding_cache.hash IS 'SHA-256 of the embedded text in UTF-8';
COMMENT ON COLUMN howdah.embedding_cache.embedding IS 'float32, little-endian: exactly what the model gave';
COMMENT ON COLUMN howdah.embedding_cache.used_at IS 'the day of the last use: written at most once a day';
COMMENT ON COLUMN howdah.embedding_cache.hits IS 'days on which it was used again';
