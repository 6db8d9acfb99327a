-- Changes to personal data, written by triggers (retentiond audit capture). Map this table as a data entry with a keep of
-- its own: new values are personal data too. person: the key of the person whom the changed row names, if any.
CREATE TABLE IF NOT EXISTS retentiond_changes (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    changed_at DATETIME(6) NOT NULL,
    actor VARCHAR(200) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    action VARCHAR(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    data VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    row_key VARCHAR(400) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    person VARCHAR(400) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
    attribute VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    new_value LONGTEXT CHARACTER SET utf8mb4,
    KEY retentiond_changes_at (changed_at),
    KEY retentiond_changes_row (row_key, data),
    KEY retentiond_changes_person (person)
) ENGINE = InnoDB;
CREATE TABLE IF NOT EXISTS retentiond_captured (
    data VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL PRIMARY KEY,
    fingerprint VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL
) ENGINE = InnoDB;
-- The key of hashed values: whoever may read it can try values out, and change rows as retentiond does, uncaptured.
CREATE TABLE IF NOT EXISTS retentiond_capture_key (
    secret VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL
) ENGINE = InnoDB;
