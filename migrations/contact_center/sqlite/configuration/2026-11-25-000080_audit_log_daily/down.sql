DROP TABLE audit_log_daily;
