-- Directory: how to find a user or a customer, and what customers consented to.
-- Times are in UTC.

-- user_id is a key of the configuration database; no foreign key can hold it.
CREATE TABLE directory_users (
    id BIGINT NOT NULL PRIMARY KEY,
    user_id BIGINT NOT NULL,
    first_name VARCHAR(120) NOT NULL,
    last_name VARCHAR(120) NOT NULL,
    phone VARCHAR(60) NULL,
    email VARCHAR(200) NULL,
    job_title VARCHAR(120) NULL,
    responsibilities TEXT NULL,
    updated_at DATETIME(6) NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
CREATE INDEX directory_users_user_id ON directory_users (user_id);

CREATE TABLE directory_customers (
    id BIGINT NOT NULL PRIMARY KEY,
    name VARCHAR(200) NOT NULL,
    phone VARCHAR(60) NULL,
    email VARCHAR(200) NULL,
    company VARCHAR(120) NULL,
    note TEXT NULL,
    created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
CREATE INDEX directory_customers_phone ON directory_customers (phone);
CREATE INDEX directory_customers_email ON directory_customers (email);

-- given: NULL when the customer was never asked.
CREATE TABLE consents (
    id BIGINT NOT NULL PRIMARY KEY,
    customer_id BIGINT NOT NULL,
    purpose VARCHAR(40) NOT NULL,
    given BOOLEAN NULL,
    asked_at DATETIME(6) NOT NULL,
    withdrawn_at DATETIME(6) NULL,
    CONSTRAINT consents_customer_id_fk FOREIGN KEY (customer_id) REFERENCES directory_customers (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
CREATE INDEX consents_customer_id ON consents (customer_id);
