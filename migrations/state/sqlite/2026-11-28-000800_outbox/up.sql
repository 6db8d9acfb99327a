-- Whom a finished mail is encrypted for, as a hash of their keys (NULL: anybody can read it), so that a mail which was
-- finished before a key was named does not leave. The column of file names is wide enough here.
ALTER TABLE outbox ADD COLUMN sealed_for VARCHAR(64);

-- The number of the Unix user who released a hold, or asked for it.
ALTER TABLE holds ADD COLUMN released_uid BIGINT;
