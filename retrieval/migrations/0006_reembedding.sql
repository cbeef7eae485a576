-- While a collection's embedding model is changed, its chunks are in two tables (retrieval/reembed.py).

-- A row that is changed no longer holds for its twin in the other table.
CREATE FUNCTION howdah.forget_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.version := NULL;
    RETURN NEW;
END $$;

-- A program that has not noticed the change yet would write where nobody reads. 42P01 makes it look again.
CREATE FUNCTION howdah.refuse_retired() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF pg_catalog.current_setting('howdah.reembedding', true) IS DISTINCT FROM 'on' THEN
        RAISE EXCEPTION 'table howdah.% is out of use: its collection has another embedding model', TG_TABLE_NAME
            USING ERRCODE = 'undefined_table', HINT = 'look the collection up again';
    END IF;
    RETURN NULL;
END $$;
