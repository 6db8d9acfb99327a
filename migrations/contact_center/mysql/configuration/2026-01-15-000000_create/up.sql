-- Configuration: users, queues, roles, and what people did with recordings and settings.
-- Relations of a user (addresses, memberships, roles, settings) carry no foreign key to users: the application deletes
-- the account alone, and what is left of the person is cleaned up afterwards.
-- Times are in UTC.

-- Who works here. Deleting the row deletes the account.
CREATE TABLE users (
    id BIGINT NOT NULL PRIMARY KEY,
    login_id VARCHAR(80) NOT NULL,
    first_name VARCHAR(120) NOT NULL,
    last_name VARCHAR(120) NOT NULL,
    job_title VARCHAR(120) NULL,
    recording_enabled BOOLEAN NOT NULL,
    in_directory BOOLEAN NOT NULL,
    created_at DATETIME(6) NOT NULL,
    last_login_at DATETIME(6) NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
CREATE INDEX users_login_id ON users (login_id);
CREATE INDEX users_last_login_at ON users (last_login_at);

-- A name kept apart from the account, so that old contacts and statistics can still be linked to it.
CREATE TABLE user_names (
    user_id BIGINT NOT NULL PRIMARY KEY,
    first_name VARCHAR(120) NOT NULL,
    last_name VARCHAR(120) NOT NULL,
    kept_since DATETIME(6) NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- E-mail addresses, phone numbers and SIP addresses of users.
CREATE TABLE user_addresses (
    id BIGINT NOT NULL PRIMARY KEY,
    user_id BIGINT NOT NULL,
    kind VARCHAR(20) NOT NULL,
    address VARCHAR(200) NOT NULL,
    added_at DATETIME(6) NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
CREATE INDEX user_addresses_user_id ON user_addresses (user_id);
CREATE INDEX user_addresses_address ON user_addresses (address);

-- Text keys, as in every other database of the centre.
CREATE TABLE queues (
    id VARCHAR(40) NOT NULL PRIMARY KEY,
    name VARCHAR(120) NOT NULL,
    channel VARCHAR(10) NOT NULL,
    created_at DATETIME(6) NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- A composite key.
CREATE TABLE queue_members (
    queue_id VARCHAR(40) NOT NULL,
    user_id BIGINT NOT NULL,
    skill_level INT NOT NULL,
    member_since DATETIME(6) NOT NULL,
    PRIMARY KEY (queue_id, user_id),
    CONSTRAINT queue_members_queue_id_fk FOREIGN KEY (queue_id) REFERENCES queues (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
CREATE INDEX queue_members_user_id ON queue_members (user_id);

CREATE TABLE roles (
    id BIGINT NOT NULL PRIMARY KEY,
    name VARCHAR(80) NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

CREATE TABLE user_roles (
    user_id BIGINT NOT NULL,
    role_id BIGINT NOT NULL,
    granted_at DATETIME(6) NOT NULL,
    PRIMARY KEY (user_id, role_id),
    CONSTRAINT user_roles_role_id_fk FOREIGN KEY (role_id) REFERENCES roles (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
CREATE INDEX user_roles_role_id ON user_roles (role_id);

CREATE TABLE user_settings (
    user_id BIGINT NOT NULL,
    name VARCHAR(80) NOT NULL,
    value TEXT NULL,
    changed_at DATETIME(6) NOT NULL,
    PRIMARY KEY (user_id, name)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- Who listened to which recording (the recording itself is in the operative database).
CREATE TABLE recording_listening_log (
    id BIGINT NOT NULL PRIMARY KEY,
    recording_id BIGINT NOT NULL,
    user_id BIGINT NOT NULL,
    listened_at DATETIME(6) NOT NULL,
    seconds_played INT NOT NULL,
    reason VARCHAR(200) NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
CREATE INDEX recording_listening_log_user_id ON recording_listening_log (user_id);
CREATE INDEX recording_listening_log_recording_id ON recording_listening_log (recording_id);
CREATE INDEX recording_listening_log_listened_at ON recording_listening_log (listened_at);

-- Changes to personal data: which attribute of which object, by whom, when, the new value.
CREATE TABLE audit_log (
    id BIGINT NOT NULL PRIMARY KEY,
    changed_at DATETIME(6) NOT NULL,
    actor_id BIGINT NULL,
    actor_role VARCHAR(40) NOT NULL,
    action VARCHAR(20) NOT NULL,
    object_type VARCHAR(40) NOT NULL,
    object_id BIGINT NOT NULL,
    attribute VARCHAR(80) NOT NULL,
    new_value TEXT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
CREATE INDEX audit_log_changed_at ON audit_log (changed_at);
CREATE INDEX audit_log_actor_id ON audit_log (actor_id);
CREATE INDEX audit_log_object_type_object_id ON audit_log (object_type, object_id);

-- Requests of persons for their data; a UUID key.
CREATE TABLE privacy_requests (
    id CHAR(36) NOT NULL PRIMARY KEY,
    person_kind VARCHAR(20) NOT NULL,
    identifier_kind VARCHAR(20) NOT NULL,
    identifier VARCHAR(200) NOT NULL,
    requested_by BIGINT NULL,
    requested_at DATETIME(6) NOT NULL,
    due_at DATETIME(6) NOT NULL,
    answered_at DATETIME(6) NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
CREATE INDEX privacy_requests_requested_by ON privacy_requests (requested_by);
CREATE INDEX privacy_requests_answered_at ON privacy_requests (answered_at);
