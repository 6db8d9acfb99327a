DROP TABLE pauses;
DROP TABLE leases;
DROP TABLE run_steps;
DROP TABLE runs;
