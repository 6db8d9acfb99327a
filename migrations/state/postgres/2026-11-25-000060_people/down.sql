DROP TABLE store_marks;
DROP TABLE erasure_marks;
DROP TABLE erasures;
DROP TABLE erasure_keys;
