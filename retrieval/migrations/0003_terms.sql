-- A lexeme's document frequency, so that a search need not count its postings. Append-only as corpus_stats is: a writer
-- adds the difference that it makes, readers sum in their own snapshot, maintenance folds. A new collection's table is
-- made with it (schema.py); those that exist are filled from their postings.
DO $$
DECLARE
    collection record;
BEGIN
    FOR collection IN SELECT id FROM howdah.collections WHERE lexical ORDER BY id LOOP
        EXECUTE pg_catalog.format('LOCK TABLE howdah.%I IN SHARE MODE', 'postings_' || collection.id);
        EXECUTE pg_catalog.format($sql$
            CREATE TABLE howdah.%1$I (
                n       bigint  NOT NULL GENERATED ALWAYS AS IDENTITY,
                df      integer NOT NULL,
                tenant  text    NOT NULL DEFAULT '',
                lexeme  text COLLATE "C" NOT NULL,
                PRIMARY KEY (tenant, lexeme, n) INCLUDE (df)
            )
        $sql$, 'terms_' || collection.id);
        EXECUTE pg_catalog.format($sql$
            INSERT INTO howdah.%I (tenant, lexeme, df)
            SELECT tenant, lexeme, pg_catalog.count(*) FROM howdah.%I GROUP BY tenant, lexeme ORDER BY tenant, lexeme
        $sql$, 'terms_' || collection.id, 'postings_' || collection.id);
    END LOOP;
END $$;
