-- Directory: how to find a user or a customer, and what customers consented to.
-- Times carry their zone.

-- user_id is a key of the configuration database; no foreign key can hold it.
CREATE TABLE directory_users (
    id BIGINT PRIMARY KEY,
    user_id BIGINT NOT NULL,
    first_name VARCHAR(120) NOT NULL,
    last_name VARCHAR(120) NOT NULL,
    phone VARCHAR(60),
    email VARCHAR(200),
    job_title VARCHAR(120),
    responsibilities TEXT,
    updated_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX directory_users_user_id ON directory_users (user_id);

CREATE TABLE directory_customers (
    id BIGINT PRIMARY KEY,
    name VARCHAR(200) NOT NULL,
    phone VARCHAR(60),
    email VARCHAR(200),
    company VARCHAR(120),
    note TEXT,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX directory_customers_phone ON directory_customers (phone);
CREATE INDEX directory_customers_email ON directory_customers (email);

-- given: NULL when the customer was never asked.
CREATE TABLE consents (
    id BIGINT PRIMARY KEY,
    customer_id BIGINT NOT NULL,
    purpose VARCHAR(40) NOT NULL,
    given BOOLEAN,
    asked_at TIMESTAMPTZ NOT NULL,
    withdrawn_at TIMESTAMPTZ,
    CONSTRAINT consents_customer_id_fk FOREIGN KEY (customer_id) REFERENCES directory_customers (id)
);
CREATE INDEX consents_customer_id ON consents (customer_id);
