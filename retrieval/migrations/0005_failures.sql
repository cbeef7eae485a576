-- What a source was when it failed, and what failed: the same again is not tried in vain.
ALTER TABLE howdah.failures ADD COLUMN content_hash bytea, ADD COLUMN made_by text;

COMMENT ON COLUMN howdah.failures.content_hash IS 'NULL where another try may go otherwise though nothing changed';
COMMENT ON COLUMN howdah.failures.made_by IS 'program, chunker and options that failed; others try again';
