-- Names of files stay as wide as they are.
ALTER TABLE outbox DROP COLUMN sealed_for;
ALTER TABLE holds DROP COLUMN released_uid;
