DROP TABLE agent_work_time;
DROP TABLE contact_statistics;
