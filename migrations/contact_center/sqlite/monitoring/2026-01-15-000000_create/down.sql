DROP TABLE live_queues;
DROP TABLE live_agents;
