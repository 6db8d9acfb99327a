DROP TABLE incidents;
DROP TABLE letters;
