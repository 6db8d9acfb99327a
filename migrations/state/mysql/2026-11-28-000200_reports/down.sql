DROP TABLE outbox_phases;
DROP TABLE outbox;
DROP TABLE report_requests;
