-- Directory: how to find a user or a customer, and what customers consented to.
-- Times are text, YYYY-MM-DD HH:MM:SS, in UTC.

-- user_id is a key of the configuration database; no foreign key can hold it.
CREATE TABLE directory_users (
    id INTEGER NOT NULL PRIMARY KEY,
    user_id INTEGER NOT NULL,
    first_name TEXT NOT NULL,
    last_name TEXT NOT NULL,
    phone TEXT,
    email TEXT,
    job_title TEXT,
    responsibilities TEXT,
    updated_at TEXT NOT NULL
);
CREATE INDEX directory_users_user_id ON directory_users (user_id);

CREATE TABLE directory_customers (
    id INTEGER NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    phone TEXT,
    email TEXT,
    company TEXT,
    note TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
);
CREATE INDEX directory_customers_phone ON directory_customers (phone);
CREATE INDEX directory_customers_email ON directory_customers (email);

-- given: NULL when the customer was never asked.
CREATE TABLE consents (
    id INTEGER NOT NULL PRIMARY KEY,
    customer_id INTEGER NOT NULL,
    purpose TEXT NOT NULL,
    given BOOLEAN,
    asked_at TEXT NOT NULL,
    withdrawn_at TEXT,
    CONSTRAINT consents_customer_id_fk FOREIGN KEY (customer_id) REFERENCES directory_customers (id)
);
CREATE INDEX consents_customer_id ON consents (customer_id);
