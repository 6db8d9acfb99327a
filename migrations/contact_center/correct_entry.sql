-- What the application does when somebody corrects an entry of the directory: it says who acts, and changes the row.
INSERT INTO retentiond_actor (name) VALUES ('supervisor');
UPDATE directory_users SET job_title = 'Team lead', responsibilities = NULL WHERE user_id = 7;
DELETE FROM retentiond_actor WHERE name = 'supervisor';
