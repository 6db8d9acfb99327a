-- Operative: contacts by call, e-mail and chat, with all that hangs on them, and users' presences.
-- agent_id, transferred_to, author_id and user_id are keys of the configuration database, queue_id as well.
-- Times are text, YYYY-MM-DD HH:MM:SS, in UTC.

-- ended_at: NULL while the contact is open; 1970-01-01 where an old gateway never reported the end.
CREATE TABLE contacts (
    id INTEGER NOT NULL PRIMARY KEY,
    channel TEXT NOT NULL,
    direction TEXT NOT NULL,
    queue_id TEXT,
    agent_id INTEGER,
    transferred_to INTEGER,
    caller_number TEXT,
    caller_email TEXT,
    caller_name TEXT,
    client_ip TEXT,
    subject TEXT,
    disposition TEXT,
    started_at TEXT NOT NULL,
    answered_at TEXT,
    ended_at TEXT,
    anonymised_at TEXT
);
CREATE INDEX contacts_ended_at ON contacts (ended_at);
CREATE INDEX contacts_anonymised_at_ended_at ON contacts (anonymised_at, ended_at);
CREATE INDEX contacts_agent_id ON contacts (agent_id);
CREATE INDEX contacts_transferred_to ON contacts (transferred_to);
CREATE INDEX contacts_caller_number ON contacts (caller_number);
CREATE INDEX contacts_caller_email ON contacts (caller_email);

-- What happened during a contact; reports count these rows.
CREATE TABLE contact_events (
    id INTEGER NOT NULL PRIMARY KEY,
    contact_id INTEGER NOT NULL,
    event_type TEXT NOT NULL,
    agent_id INTEGER,
    address TEXT,
    occurred_at TEXT NOT NULL,
    duration_seconds INTEGER NOT NULL,
    CONSTRAINT contact_events_contact_id_fk FOREIGN KEY (contact_id) REFERENCES contacts (id)
);
CREATE INDEX contact_events_contact_id ON contact_events (contact_id);
CREATE INDEX contact_events_agent_id ON contact_events (agent_id);

CREATE TABLE emails (
    id INTEGER NOT NULL PRIMARY KEY,
    contact_id INTEGER NOT NULL,
    message_id TEXT,
    from_address TEXT,
    reply_to TEXT,
    to_address TEXT,
    subject TEXT,
    body TEXT,
    received_at TEXT NOT NULL,
    sent_at TEXT,
    CONSTRAINT emails_contact_id_fk FOREIGN KEY (contact_id) REFERENCES contacts (id)
);
CREATE INDEX emails_contact_id ON emails (contact_id);

CREATE TABLE email_attachments (
    id INTEGER NOT NULL PRIMARY KEY,
    email_id INTEGER NOT NULL,
    file_name TEXT NOT NULL,
    content_type TEXT NOT NULL,
    content TEXT,
    stored_at TEXT NOT NULL,
    CONSTRAINT email_attachments_email_id_fk FOREIGN KEY (email_id) REFERENCES emails (id)
);
CREATE INDEX email_attachments_email_id ON email_attachments (email_id);

-- A UUID key.
CREATE TABLE chats (
    id TEXT NOT NULL PRIMARY KEY,
    contact_id INTEGER NOT NULL,
    nickname TEXT,
    client_ip TEXT,
    opened_at TEXT NOT NULL,
    closed_at TEXT,
    CONSTRAINT chats_contact_id_fk FOREIGN KEY (contact_id) REFERENCES contacts (id)
);
CREATE INDEX chats_contact_id ON chats (contact_id);

CREATE TABLE chat_transcripts (
    id INTEGER NOT NULL PRIMARY KEY,
    chat_id TEXT NOT NULL,
    author TEXT NOT NULL,
    said_at TEXT NOT NULL,
    line TEXT NOT NULL,
    CONSTRAINT chat_transcripts_chat_id_fk FOREIGN KEY (chat_id) REFERENCES chats (id)
);
CREATE INDEX chat_transcripts_chat_id ON chat_transcripts (chat_id);

CREATE TABLE internal_notes (
    id INTEGER NOT NULL PRIMARY KEY,
    contact_id INTEGER NOT NULL,
    author_id INTEGER,
    note TEXT,
    written_at TEXT NOT NULL,
    CONSTRAINT internal_notes_contact_id_fk FOREIGN KEY (contact_id) REFERENCES contacts (id)
);
CREATE INDEX internal_notes_contact_id ON internal_notes (contact_id);
CREATE INDEX internal_notes_author_id ON internal_notes (author_id);

-- Values that scripts and integrations hang on a contact; a composite key.
CREATE TABLE attached_data (
    contact_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    value TEXT,
    attached_at TEXT NOT NULL,
    PRIMARY KEY (contact_id, name),
    CONSTRAINT attached_data_contact_id_fk FOREIGN KEY (contact_id) REFERENCES contacts (id)
);

-- file_path is relative to the root of the recording server. customer_consent: NULL when nobody asked.
CREATE TABLE recordings (
    id INTEGER NOT NULL PRIMARY KEY,
    contact_id INTEGER NOT NULL,
    user_id INTEGER,
    file_path TEXT NOT NULL,
    seconds INTEGER NOT NULL,
    customer_consent BOOLEAN,
    recorded_at TEXT NOT NULL,
    CONSTRAINT recordings_contact_id_fk FOREIGN KEY (contact_id) REFERENCES contacts (id)
);
CREATE INDEX recordings_contact_id ON recordings (contact_id);
CREATE INDEX recordings_user_id ON recordings (user_id);
CREATE INDEX recordings_recorded_at ON recordings (recorded_at);
CREATE INDEX recordings_customer_consent ON recordings (customer_consent);

-- ended_at: 9999-12-31 while the presence lasts.
CREATE TABLE presences (
    id INTEGER NOT NULL PRIMARY KEY,
    user_id INTEGER NOT NULL,
    presence TEXT NOT NULL,
    started_at TEXT NOT NULL,
    ended_at TEXT
);
CREATE INDEX presences_user_id ON presences (user_id);
CREATE INDEX presences_ended_at ON presences (ended_at);
