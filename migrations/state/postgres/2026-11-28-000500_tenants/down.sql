-- What belongs to a tenant is unknown to the version before.
DELETE FROM store_marks  WHERE store       LIKE '%@%';
DELETE FROM erasure_marks WHERE erasure_id IN (SELECT id FROM erasures WHERE person_kind LIKE '%@%');
DELETE FROM erasures     WHERE person_kind LIKE '%@%';
DELETE FROM holds        WHERE hold_case   LIKE '%@%';
DELETE FROM gone_persons WHERE person      LIKE '%@%';
DELETE FROM gone_watches WHERE person      LIKE '%@%';
ALTER TABLE store_marks  ALTER COLUMN store       TYPE VARCHAR(64);
ALTER TABLE erasures     ALTER COLUMN person_kind TYPE VARCHAR(64);
ALTER TABLE holds        ALTER COLUMN hold_case   TYPE VARCHAR(64);
ALTER TABLE gone_persons ALTER COLUMN person      TYPE VARCHAR(64);
ALTER TABLE gone_watches ALTER COLUMN person      TYPE VARCHAR(64);
