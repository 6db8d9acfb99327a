ALTER TABLE runs DROP COLUMN started_by;
ALTER TABLE runs DROP COLUMN slot;
DROP TABLE clocks;
DROP TABLE schedules;
DROP TABLE slots;
