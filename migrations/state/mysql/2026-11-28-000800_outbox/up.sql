-- Whom a finished mail is encrypted for, as a hash of their keys (NULL: anybody can read it), so that a mail which was
-- finished before a key was named does not leave. A file's name is made of the name of the job, which may be a tenant's,
-- the request and more.
--
-- DDL is committed statement by statement here, so each may be repeated after a kill.
ALTER TABLE outbox
    ADD COLUMN /*M! IF NOT EXISTS */ sealed_for VARCHAR(64),
    MODIFY spool VARCHAR(200) NOT NULL;

-- The number of the Unix user who released a hold, or asked for it.
ALTER TABLE holds ADD COLUMN /*M! IF NOT EXISTS */ released_uid BIGINT;
