DROP TABLE plans;
DROP TABLE policies;
