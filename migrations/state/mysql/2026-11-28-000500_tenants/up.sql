-- What is remembered by the name of a store, a kind of person or a case is remembered for each tenant: NAME@TENANT.
--
-- DDL is committed statement by statement here, so each may be repeated after a kill.
ALTER TABLE store_marks  MODIFY store       VARCHAR(130) NOT NULL;
ALTER TABLE erasures     MODIFY person_kind VARCHAR(130) NOT NULL;
ALTER TABLE holds        MODIFY hold_case   VARCHAR(130) NOT NULL;
ALTER TABLE gone_persons MODIFY person      VARCHAR(130) NOT NULL;
ALTER TABLE gone_watches MODIFY person      VARCHAR(130) NOT NULL;
