-- What the application does when a user is deleted: the account goes, and nothing else.
DELETE FROM users WHERE id = (SELECT min(user_id) FROM queue_members);
