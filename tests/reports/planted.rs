//! The rows that are planted in every entry: the persons' own, and look-alikes.

/// A customer in every entry that can be about one, and somebody very much like her beside each.
pub const CUSTOMER: [(&str, &str); 5] = [
    (
        "directory",
        "INSERT INTO directory_customers (id, name, phone, email, note, created_at, updated_at) VALUES
           (900001, 'Anna Kivi', '+358 40 700 8001', 'Anna.Kivi@Example.ORG', '=1+1', '2024-05-01 10:00:00', '2024-05-02 10:00:00'),
           (900002, 'Anna Kivi', '+358 41 700 8001', 'anna.kivi@example.orgs', 'CANARY-other', '2024-05-03 10:00:00', '2024-05-04 10:00:00');
         INSERT INTO consents (id, customer_id, purpose, given, asked_at) VALUES
           (900001, 900001, 'recording', {yes}, '2024-05-05 10:00:00'), (900002, 900002, 'recording', {no}, '2024-05-06 10:00:00');",
    ),
    (
        "operative",
        "INSERT INTO contacts (id, channel, direction, queue_id, agent_id, caller_number, caller_email, caller_name, subject, started_at, ended_at) VALUES
           (900001, 'call', 'in', 'sales', 7, '0407008001', NULL, 'Anna K.', 'where is it?', '2026-06-01 10:00:00', '2026-06-01 10:10:00'),
           (900002, 'call', 'in', NULL, 8, '00358-40-7008001', NULL, NULL, NULL, '2026-06-02 10:00:00', '2026-06-02 10:11:00'),
           (900003, 'email', 'in', 'claims', NULL, NULL, ' ANNA.KIVI@example.org', NULL, 'again', '2026-06-03 10:00:00', NULL),
           (900004, 'call', 'in', 'sales', 7, 'sip:0407008001@pbx', 'CANARY-shared@example.net', NULL, NULL, '2026-06-04 10:00:00', '2026-06-04 10:12:00'),
           (900005, 'chat', 'in', NULL, 7, '+358407008001', NULL, NULL, NULL, '2026-06-05 10:00:00', '2026-06-05 10:13:00'),
           (900101, 'email', 'in', NULL, NULL, '0417008001', 'CANARY-else@example.net', 'CANARY-Else', 'CANARY-subject', '2026-06-06 10:00:00', '2026-06-06 10:14:00');
         INSERT INTO contact_events (id, contact_id, event_type, agent_id, address, occurred_at, duration_seconds) VALUES
           (900001, 900001, 'arrived', NULL, '0407008001', '2026-06-01 10:00:01', 5), (900101, 900101, 'arrived', NULL, 'CANARY-event', '2026-06-06 10:00:01', 5);
         INSERT INTO emails (id, contact_id, from_address, reply_to, to_address, subject, body, received_at) VALUES
           (900001, 900003, 'anna.kivi@example.org', 'CANARY-reply@example.net', 'help@centre.example', 'hello', 'Grüße 你好 مرحبا', '2026-06-03 10:01:00'),
           (900002, 900003, 'CANARY-third@example.net', NULL, 'help@centre.example', 'CANARY-third', 'CANARY-third body', '2026-06-03 10:02:00'),
           (900101, 900101, 'CANARY-else@example.net', NULL, 'Anna.Kivi@example.org', 'CANARY-about her', 'CANARY-body', '2026-06-06 10:01:00'),
           (900102, 900101, 'CANARY-else@example.net', NULL, 'xanna.kivi@example.org', 'CANARY', 'CANARY', '2026-06-06 10:02:00');
         INSERT INTO email_attachments (id, email_id, file_name, content_type, content, stored_at) VALUES
           (900001, 900001, 'a.txt', 'text/plain', 'mine', '2026-06-03 10:03:00'), (900101, 900101, 'CANARY.txt', 'text/plain', 'CANARY', '2026-06-06 10:03:00');
         INSERT INTO chats (id, contact_id, nickname, client_ip, opened_at) VALUES
           ('00000000-0000-4000-8000-000000900001', 900005, 'annie', '192.0.2.7', '2026-06-05 10:00:02');
         INSERT INTO chat_transcripts (id, chat_id, author, said_at, line) VALUES
           (900001, '00000000-0000-4000-8000-000000900001', 'annie', '2026-06-05 10:00:03', 'a \"quoted\", line\nand another');
         INSERT INTO internal_notes (id, contact_id, author_id, note, written_at) VALUES
           (900001, 900001, 7, 'she was friendly', '2026-06-01 10:20:00'), (900101, 900101, 7, 'CANARY-note', '2026-06-06 10:20:00');
         INSERT INTO attached_data (contact_id, name, value, attached_at) VALUES
           (900001, 'order', '4711', '2026-06-01 10:21:00'), (900101, 'order', 'CANARY-order', '2026-06-06 10:21:00');
         INSERT INTO recordings (id, contact_id, user_id, file_path, seconds, customer_consent, recorded_at) VALUES
           (900001, 900001, 7, '900/1.wav', 61, {yes}, '2026-11-01 10:00:00'), (900002, 900002, 8, '900/2.wav', 62, {no}, '2026-11-02 10:00:00'),
           (900101, 900101, 8, '900/101.wav', 63, {yes}, '2026-11-03 10:00:00');",
    ),
    (
        "outbound",
        "INSERT INTO campaigns (code, name, status, owner_id, started_at) VALUES ('CMP-T', 'Test', 'running', 7, '2026-04-01 10:00:00');
         INSERT INTO campaign_customers (id, campaign_code, name, phone, email, added_at) VALUES
           (900001, 'CMP-T', 'Anna', '040 700 8001', NULL, '2026-04-02 10:00:00'), (900002, 'CMP-T', 'CANARY-camp', '040 700 8002', NULL, '2026-04-03 10:00:00');
         INSERT INTO campaign_calls (id, campaign_code, campaign_customer_id, agent_id, called_at, outcome, note) VALUES
           (900001, 'CMP-T', 900001, 7, '2026-04-04 10:00:00', 'busy', NULL), (900002, 'CMP-T', 900002, 7, '2026-04-05 10:00:00', 'busy', 'CANARY');",
    ),
    (
        "monitoring",
        "INSERT INTO live_agents (id, user_id, login_id, state, current_caller, state_since, updated_at) VALUES
           (900001, 7, 'CANARY-login', 'talking', '+358 (40) 7008001', 1790000000, 1790000001), (900002, 8, 'x', 'talking', '0417008001', 1790000002, 1790000003);
         INSERT INTO live_queues (id, queue_id, waiting, first_caller, oldest_since, updated_at) VALUES
           (900001, 'sales', 3, '0407008001', 1790000004, 1790000005);",
    ),
    (
        "history",
        "INSERT INTO contact_statistics (contact_id, channel, agent_id, agent_login, caller_number, wait_seconds, talk_seconds, contact_started_at, archived_at) VALUES
           (900001, 'call', 7, 'CANARY-agent', '0407008001', 1, 2, '2026-06-01 10:00:00', '2026-06-02 00:00:00'),
           (900101, 'call', 7, 'CANARY-agent', '0417008001', 1, 2, '2026-06-06 10:00:00', '2026-06-07 00:00:00');",
    ),
];

/// A user in every entry that can be about one.
pub const USER: [(&str, &str); 7] = [
    (
        "configuration",
        "INSERT INTO users (id, login_id, first_name, last_name, recording_enabled, in_directory, created_at) VALUES
           (990001, 'erik.x', 'Erik', 'X', {no}, {yes}, '2026-01-01 00:00:00'), (990002, 'erik.xy', 'CANARY', 'Y', {yes}, {yes}, '2026-01-02 00:00:00');
         INSERT INTO user_names (user_id, first_name, last_name, kept_since) VALUES (990001, 'Erik', 'X', '2026-01-01 00:00:00'), (990002, 'CANARY', 'Y', '2026-01-02 00:00:00');
         INSERT INTO user_addresses (id, user_id, kind, address, added_at) VALUES (990001, 990001, 'email', 'erik@x.example', '2026-01-01 00:00:00'), (990002, 990002, 'email', 'CANARY@x.example', '2026-01-02 00:00:00');
         INSERT INTO queue_members (queue_id, user_id, skill_level, member_since) SELECT min(id), 990001, 3, '2026-01-01 00:00:00' FROM queues;
         INSERT INTO user_roles (user_id, role_id, granted_at) SELECT 990001, min(id), '2026-01-01 00:00:00' FROM roles;
         INSERT INTO user_settings (user_id, name, value, changed_at) VALUES (990001, 'language', 'fi', '2026-01-01 00:00:00');
         INSERT INTO recording_listening_log (id, recording_id, user_id, listened_at, seconds_played) VALUES (990001, 1, 990001, '2026-10-01 10:00:00', 5), (990002, 1, 990002, '2026-10-02 10:00:00', 5);
         INSERT INTO audit_log (id, changed_at, actor_id, actor_role, action, object_type, object_id, attribute, new_value) VALUES
           (990001, '2026-11-01 10:00:00', 990001, 'agent', 'update', 'contact', 5, 'x', 'y'),
           (990002, '2026-11-02 10:00:00', 990002, 'admin', 'update', 'user', 990001, 'first_name', 'Erik'),
           (990003, '2026-11-03 10:00:00', 990002, 'admin', 'update', 'queue', 990001, 'CANARY', 'CANARY'),
           (990004, '2026-11-04 10:00:00', 990001, 'agent', 'update', 'customer', 17, 'phone', 'CANARY-0401');
         INSERT INTO privacy_requests (id, person_kind, identifier_kind, identifier, requested_by, requested_at, due_at) VALUES
           ('00000000-0000-4000-8000-000000990001', 'customer', 'email', 'CANARY@example.net', 990001, '2026-11-05 10:00:00', '2026-12-05 10:00:00');",
    ),
    ("directory", "INSERT INTO directory_users (id, user_id, first_name, last_name, phone, updated_at) VALUES (990001, 990001, 'Erik', 'X', '123456789', '2026-01-01 00:00:00');"),
    (
        "operative",
        "INSERT INTO contacts (id, channel, direction, agent_id, transferred_to, caller_number, subject, started_at, ended_at) VALUES
           (990001, 'call', 'out', 990001, NULL, NULL, NULL, '2026-06-01 10:00:00', '2026-06-01 10:10:00'),
           (990002, 'call', 'in', 990002, 990001, 'CANARY-0401', 'CANARY-subject', '2026-06-02 10:00:00', '2026-06-02 10:10:00'),
           (990003, 'call', 'in', 990002, NULL, 'CANARY-0401', 'CANARY-subject', '2026-06-03 10:00:00', '2026-06-03 10:10:00');
         INSERT INTO contact_events (id, contact_id, event_type, agent_id, occurred_at, duration_seconds) VALUES (990001, 990003, 'hold', 990001, '2026-06-03 10:01:00', 4), (990002, 990003, 'hold', 990002, '2026-06-03 10:02:00', 4);
         INSERT INTO internal_notes (id, contact_id, author_id, note, written_at) VALUES (990001, 990003, 990001, 'CANARY-of the caller', '2026-06-03 10:03:00');
         INSERT INTO recordings (id, contact_id, user_id, file_path, seconds, customer_consent, recorded_at) VALUES (990001, 990003, 990001, '990/1.wav', 9, {yes}, '2026-11-01 10:00:00');
         INSERT INTO presences (id, user_id, presence, started_at, ended_at) VALUES (990001, 990001, 'lunch', '2026-06-01 11:00:00', '9999-12-31 00:00:00');",
    ),
    (
        "outbound",
        "INSERT INTO campaigns (code, name, status, owner_id, started_at, finished_at) VALUES ('CMP-E', 'Test', 'done', 990001, '2026-04-01 10:00:00', '2026-10-01 10:00:00');
         INSERT INTO campaign_customers (id, campaign_code, name, phone, added_at) VALUES (990001, 'CMP-E', 'CANARY', 'CANARY', '2026-04-01 11:00:00');
         INSERT INTO campaign_calls (id, campaign_code, campaign_customer_id, agent_id, called_at, outcome, note) VALUES (990001, 'CMP-E', 990001, 990001, '2026-04-02 10:00:00', 'busy', 'CANARY calls back');",
    ),
    ("monitoring", "INSERT INTO live_agents (id, user_id, login_id, state, current_caller, state_since, updated_at) VALUES (990001, 990001, 'erik.x', 'talking', 'CANARY', 1790000000, 1790000001);"),
    ("reporting", "INSERT INTO agent_intervals (id, user_id, login_id, interval_start, contacts, talk_seconds, counted_at) VALUES (990001, 990001, 'erik.x', '2026-06-01 10:00:00', 4, 5, '2026-06-01 11:00:00');"),
    (
        "history",
        "INSERT INTO contact_statistics (contact_id, channel, agent_id, agent_login, caller_number, wait_seconds, talk_seconds, contact_started_at, archived_at) VALUES
           (990001, 'call', 990001, 'erik.x', 'CANARY', 1, 2, '2026-06-01 10:00:00', '2026-06-02 00:00:00'),
           (990002, 'call', 990002, 'erik.x', 'CANARY', 1, 2, '2026-06-02 10:00:00', '2026-06-03 00:00:00');
         INSERT INTO agent_work_time (id, user_id, agent_name, presence, seconds, day_start, archived_at) VALUES (990001, 990001, 'Erik X', 'work', 9, '2026-06-01 00:00:00', '2026-06-02 00:00:00');",
    ),
];
