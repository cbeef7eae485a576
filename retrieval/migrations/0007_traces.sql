-- How an answer came about: one row an answer, until it expires. No passage's text is in it but what the answer quotes.

CREATE TABLE howdah.traces (
    tenant      text        NOT NULL DEFAULT '' CHECK (octet_length(tenant) <= 200),
    id          text        NOT NULL CHECK (octet_length(id) <= 200),
    at          timestamptz NOT NULL DEFAULT now(),
    expires_at  timestamptz NOT NULL,
    erased_at   timestamptz,
    collection  bigint,
    session     text        CHECK (octet_length(session) <= 1000),
    outcome     text        NOT NULL CHECK (outcome IN ('answered', 'refused', 'cancelled', 'failed')),
    question    text        NOT NULL,
    rewritten   text,
    answer      text,
    hits        jsonb       NOT NULL DEFAULT '[]',
    citations   jsonb       NOT NULL DEFAULT '[]',
    checks      jsonb       NOT NULL DEFAULT '[]',
    details     jsonb       NOT NULL DEFAULT '{}',
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant, collection) REFERENCES howdah.collections (tenant, id) ON DELETE CASCADE
);
CREATE INDEX traces_at ON howdah.traces (tenant, at);
CREATE INDEX traces_expires ON howdah.traces (tenant, expires_at);
CREATE INDEX traces_session ON howdah.traces (tenant, session) WHERE session IS NOT NULL;
CREATE INDEX traces_collection ON howdah.traces (tenant, collection) WHERE collection IS NOT NULL;

COMMENT ON COLUMN howdah.traces.erased_at IS 'when a document that it rested on was deleted, and its text was taken out';
COMMENT ON COLUMN howdah.traces.session IS 'the conversation that the question was asked in';
COMMENT ON COLUMN howdah.traces.rewritten IS 'the question as it was searched; NULL where it was searched as it was asked';
COMMENT ON COLUMN howdah.traces.hits IS 'passages in the order that they were chosen in: places, scores and ranks, no text';
COMMENT ON COLUMN howdah.traces.details IS 'search, prompt, model, tokens, times and what went wrong';
