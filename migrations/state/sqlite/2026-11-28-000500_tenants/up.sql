-- What is remembered by the name of a store, a kind of person or a case is remembered for each tenant: NAME@TENANT. The
-- columns are wide enough here; the version before does not know such names.
SELECT 1;
