-- Configuration: users, queues, roles, and what people did with recordings and settings.
-- Relations of a user (addresses, memberships, roles, settings) carry no foreign key to users: the application deletes
-- the account alone, and what is left of the person is cleaned up afterwards.
-- Times are text, YYYY-MM-DD HH:MM:SS, in UTC.

-- Who works here. Deleting the row deletes the account.
CREATE TABLE users (
    id INTEGER NOT NULL PRIMARY KEY,
    login_id TEXT NOT NULL,
    first_name TEXT NOT NULL,
    last_name TEXT NOT NULL,
    job_title TEXT,
    recording_enabled BOOLEAN NOT NULL,
    in_directory BOOLEAN NOT NULL,
    created_at TEXT NOT NULL,
    last_login_at TEXT
);
CREATE INDEX users_login_id ON users (login_id);
CREATE INDEX users_last_login_at ON users (last_login_at);

-- A name kept apart from the account, so that old contacts and statistics can still be linked to it.
CREATE TABLE user_names (
    user_id INTEGER NOT NULL PRIMARY KEY,
    first_name TEXT NOT NULL,
    last_name TEXT NOT NULL,
    kept_since TEXT NOT NULL
);

-- E-mail addresses, phone numbers and SIP addresses of users.
CREATE TABLE user_addresses (
    id INTEGER NOT NULL PRIMARY KEY,
    user_id INTEGER NOT NULL,
    kind TEXT NOT NULL,
    address TEXT NOT NULL,
    added_at TEXT NOT NULL
);
CREATE INDEX user_addresses_user_id ON user_addresses (user_id);
CREATE INDEX user_addresses_address ON user_addresses (address);

-- Text keys, as in every other database of the centre.
CREATE TABLE queues (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    channel TEXT NOT NULL,
    created_at TEXT NOT NULL
);

-- A composite key.
CREATE TABLE queue_members (
    queue_id TEXT NOT NULL,
    user_id INTEGER NOT NULL,
    skill_level INTEGER NOT NULL,
    member_since TEXT NOT NULL,
    PRIMARY KEY (queue_id, user_id),
    CONSTRAINT queue_members_queue_id_fk FOREIGN KEY (queue_id) REFERENCES queues (id)
);
CREATE INDEX queue_members_user_id ON queue_members (user_id);

CREATE TABLE roles (
    id INTEGER NOT NULL PRIMARY KEY,
    name TEXT NOT NULL
);

CREATE TABLE user_roles (
    user_id INTEGER NOT NULL,
    role_id INTEGER NOT NULL,
    granted_at TEXT NOT NULL,
    PRIMARY KEY (user_id, role_id),
    CONSTRAINT user_roles_role_id_fk FOREIGN KEY (role_id) REFERENCES roles (id)
);
CREATE INDEX user_roles_role_id ON user_roles (role_id);

CREATE TABLE user_settings (
    user_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    value TEXT,
    changed_at TEXT NOT NULL,
    PRIMARY KEY (user_id, name)
);

-- Who listened to which recording (the recording itself is in the operative database).
CREATE TABLE recording_listening_log (
    id INTEGER NOT NULL PRIMARY KEY,
    recording_id INTEGER NOT NULL,
    user_id INTEGER NOT NULL,
    listened_at TEXT NOT NULL,
    seconds_played INTEGER NOT NULL,
    reason TEXT
);
CREATE INDEX recording_listening_log_user_id ON recording_listening_log (user_id);
CREATE INDEX recording_listening_log_recording_id ON recording_listening_log (recording_id);
CREATE INDEX recording_listening_log_listened_at ON recording_listening_log (listened_at);

-- Changes to personal data: which attribute of which object, by whom, when, the new value.
CREATE TABLE audit_log (
    id INTEGER NOT NULL PRIMARY KEY,
    changed_at TEXT NOT NULL,
    actor_id INTEGER,
    actor_role TEXT NOT NULL,
    action TEXT NOT NULL,
    object_type TEXT NOT NULL,
    object_id INTEGER NOT NULL,
    attribute TEXT NOT NULL,
    new_value TEXT
);
CREATE INDEX audit_log_changed_at ON audit_log (changed_at);
CREATE INDEX audit_log_actor_id ON audit_log (actor_id);
CREATE INDEX audit_log_object_type_object_id ON audit_log (object_type, object_id);

-- Requests of persons for their data; a UUID key.
CREATE TABLE privacy_requests (
    id TEXT NOT NULL PRIMARY KEY,
    person_kind TEXT NOT NULL,
    identifier_kind TEXT NOT NULL,
    identifier TEXT NOT NULL,
    requested_by INTEGER,
    requested_at TEXT NOT NULL,
    due_at TEXT NOT NULL,
    answered_at TEXT
);
CREATE INDEX privacy_requests_requested_by ON privacy_requests (requested_by);
CREATE INDEX privacy_requests_answered_at ON privacy_requests (answered_at);
