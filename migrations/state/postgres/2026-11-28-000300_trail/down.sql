DROP TABLE trail_head;
DROP TABLE trail_leaves;
DROP TABLE trail_records;
DROP TABLE trail_segments;
DROP TABLE trail_checkpoints;
DROP TABLE trail_signers;
