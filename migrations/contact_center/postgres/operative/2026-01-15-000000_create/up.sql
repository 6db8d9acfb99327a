-- Operative: contacts by call, e-mail and chat, with all that hangs on them, and users' presences.
-- agent_id, transferred_to, author_id and user_id are keys of the configuration database, queue_id as well.
-- Times carry their zone.

-- ended_at: NULL while the contact is open; 1970-01-01 where an old gateway never reported the end.
CREATE TABLE contacts (
    id BIGINT PRIMARY KEY,
    channel VARCHAR(10) NOT NULL,
    direction VARCHAR(10) NOT NULL,
    queue_id VARCHAR(40),
    agent_id BIGINT,
    transferred_to BIGINT,
    caller_number VARCHAR(60),
    caller_email VARCHAR(200),
    caller_name VARCHAR(200),
    client_ip VARCHAR(45),
    subject VARCHAR(400),
    disposition VARCHAR(40),
    started_at TIMESTAMPTZ NOT NULL,
    answered_at TIMESTAMPTZ,
    ended_at TIMESTAMPTZ,
    anonymised_at TIMESTAMPTZ
);
CREATE INDEX contacts_ended_at ON contacts (ended_at);
CREATE INDEX contacts_anonymised_at_ended_at ON contacts (anonymised_at, ended_at);
CREATE INDEX contacts_agent_id ON contacts (agent_id);
CREATE INDEX contacts_transferred_to ON contacts (transferred_to);
CREATE INDEX contacts_caller_number ON contacts (caller_number);
CREATE INDEX contacts_caller_email ON contacts (caller_email);

-- What happened during a contact; reports count these rows.
CREATE TABLE contact_events (
    id BIGINT PRIMARY KEY,
    contact_id BIGINT NOT NULL,
    event_type VARCHAR(20) NOT NULL,
    agent_id BIGINT,
    address VARCHAR(200),
    occurred_at TIMESTAMPTZ NOT NULL,
    duration_seconds INTEGER NOT NULL,
    CONSTRAINT contact_events_contact_id_fk FOREIGN KEY (contact_id) REFERENCES contacts (id)
);
CREATE INDEX contact_events_contact_id ON contact_events (contact_id);
CREATE INDEX contact_events_agent_id ON contact_events (agent_id);

CREATE TABLE emails (
    id BIGINT PRIMARY KEY,
    contact_id BIGINT NOT NULL,
    message_id VARCHAR(200),
    from_address VARCHAR(200),
    reply_to VARCHAR(200),
    to_address VARCHAR(200),
    subject VARCHAR(400),
    body TEXT,
    received_at TIMESTAMPTZ NOT NULL,
    sent_at TIMESTAMPTZ,
    CONSTRAINT emails_contact_id_fk FOREIGN KEY (contact_id) REFERENCES contacts (id)
);
CREATE INDEX emails_contact_id ON emails (contact_id);

CREATE TABLE email_attachments (
    id BIGINT PRIMARY KEY,
    email_id BIGINT NOT NULL,
    file_name VARCHAR(200) NOT NULL,
    content_type VARCHAR(80) NOT NULL,
    content TEXT,
    stored_at TIMESTAMPTZ NOT NULL,
    CONSTRAINT email_attachments_email_id_fk FOREIGN KEY (email_id) REFERENCES emails (id)
);
CREATE INDEX email_attachments_email_id ON email_attachments (email_id);

-- A UUID key.
CREATE TABLE chats (
    id UUID PRIMARY KEY,
    contact_id BIGINT NOT NULL,
    nickname VARCHAR(200),
    client_ip VARCHAR(45),
    opened_at TIMESTAMPTZ NOT NULL,
    closed_at TIMESTAMPTZ,
    CONSTRAINT chats_contact_id_fk FOREIGN KEY (contact_id) REFERENCES contacts (id)
);
CREATE INDEX chats_contact_id ON chats (contact_id);

CREATE TABLE chat_transcripts (
    id BIGINT PRIMARY KEY,
    chat_id UUID NOT NULL,
    author VARCHAR(200) NOT NULL,
    said_at TIMESTAMPTZ NOT NULL,
    line TEXT NOT NULL,
    CONSTRAINT chat_transcripts_chat_id_fk FOREIGN KEY (chat_id) REFERENCES chats (id)
);
CREATE INDEX chat_transcripts_chat_id ON chat_transcripts (chat_id);

CREATE TABLE internal_notes (
    id BIGINT PRIMARY KEY,
    contact_id BIGINT NOT NULL,
    author_id BIGINT,
    note TEXT,
    written_at TIMESTAMPTZ NOT NULL,
    CONSTRAINT internal_notes_contact_id_fk FOREIGN KEY (contact_id) REFERENCES contacts (id)
);
CREATE INDEX internal_notes_contact_id ON internal_notes (contact_id);
CREATE INDEX internal_notes_author_id ON internal_notes (author_id);

-- Values that scripts and integrations hang on a contact; a composite key.
CREATE TABLE attached_data (
    contact_id BIGINT NOT NULL,
    name VARCHAR(80) NOT NULL,
    value TEXT,
    attached_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (contact_id, name),
    CONSTRAINT attached_data_contact_id_fk FOREIGN KEY (contact_id) REFERENCES contacts (id)
);

-- file_path is relative to the root of the recording server. customer_consent: NULL when nobody asked.
CREATE TABLE recordings (
    id BIGINT PRIMARY KEY,
    contact_id BIGINT NOT NULL,
    user_id BIGINT,
    file_path VARCHAR(200) NOT NULL,
    seconds INTEGER NOT NULL,
    customer_consent BOOLEAN,
    recorded_at TIMESTAMPTZ NOT NULL,
    CONSTRAINT recordings_contact_id_fk FOREIGN KEY (contact_id) REFERENCES contacts (id)
);
CREATE INDEX recordings_contact_id ON recordings (contact_id);
CREATE INDEX recordings_user_id ON recordings (user_id);
CREATE INDEX recordings_recorded_at ON recordings (recorded_at);
CREATE INDEX recordings_customer_consent ON recordings (customer_consent);

-- ended_at: 9999-12-31 while the presence lasts.
CREATE TABLE presences (
    id BIGINT PRIMARY KEY,
    user_id BIGINT NOT NULL,
    presence VARCHAR(40) NOT NULL,
    started_at TIMESTAMPTZ NOT NULL,
    ended_at TIMESTAMPTZ
);
CREATE INDEX presences_user_id ON presences (user_id);
CREATE INDEX presences_ended_at ON presences (ended_at);
