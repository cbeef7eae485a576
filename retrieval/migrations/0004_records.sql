-- What LangChain's index() remembers of the documents that it wrote: their keys, their groups and when they were seen.

CREATE TABLE howdah.records (
    tenant      text              NOT NULL DEFAULT '' CHECK (octet_length(tenant) <= 200),
    namespace   text              NOT NULL CHECK (octet_length(namespace) <= 400),
    key         text              NOT NULL CHECK (octet_length(key) <= 1000),
    group_id    text              CHECK (octet_length(group_id) <= 2000),
    updated_at  double precision  NOT NULL,
    PRIMARY KEY (tenant, namespace, key)
);
-- The two questions of a clean-up: what of these groups, or of all, has not been seen since then.
CREATE INDEX records_group ON howdah.records (tenant, namespace, group_id, updated_at);
CREATE INDEX records_updated ON howdah.records (tenant, namespace, updated_at);

COMMENT ON COLUMN howdah.records.key IS 'the hash that LangChain makes of a document, which is also the id of its row';
COMMENT ON COLUMN howdah.records.group_id IS 'the source: a clean-up goes by these';
COMMENT ON COLUMN howdah.records.updated_at IS 'seconds since 1970 by this server: what LangChain compares with';
