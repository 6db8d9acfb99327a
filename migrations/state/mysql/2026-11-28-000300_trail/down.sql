DROP TABLE IF EXISTS trail_head;
DROP TABLE IF EXISTS trail_leaves;
DROP TABLE IF EXISTS trail_records;
DROP TABLE IF EXISTS trail_segments;
DROP TABLE IF EXISTS trail_checkpoints;
DROP TABLE IF EXISTS trail_signers;
