DROP TABLE IF EXISTS gone_persons;
DROP TABLE IF EXISTS gone_watches;
