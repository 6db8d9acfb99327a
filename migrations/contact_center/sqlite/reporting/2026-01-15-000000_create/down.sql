DROP TABLE agent_intervals;
DROP TABLE contact_intervals;
