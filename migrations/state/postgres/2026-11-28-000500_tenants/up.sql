-- What is remembered by the name of a store, a kind of person or a case is remembered for each tenant: NAME@TENANT.
ALTER TABLE store_marks  ALTER COLUMN store       TYPE VARCHAR(130);
ALTER TABLE erasures     ALTER COLUMN person_kind TYPE VARCHAR(130);
ALTER TABLE holds        ALTER COLUMN hold_case   TYPE VARCHAR(130);
ALTER TABLE gone_persons ALTER COLUMN person      TYPE VARCHAR(130);
ALTER TABLE gone_watches ALTER COLUMN person      TYPE VARCHAR(130);
