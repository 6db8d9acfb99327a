-- Outbound: campaigns, whom they call, and the calls made.
-- Times are text, YYYY-MM-DD HH:MM:SS, in UTC.

-- A text key. finished_at: NULL while the campaign runs.
CREATE TABLE campaigns (
    code TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    status TEXT NOT NULL,
    owner_id INTEGER,
    started_at TEXT NOT NULL,
    finished_at TEXT
);
CREATE INDEX campaigns_finished_at ON campaigns (finished_at);
CREATE INDEX campaigns_owner_id ON campaigns (owner_id);

CREATE TABLE campaign_customers (
    id INTEGER NOT NULL PRIMARY KEY,
    campaign_code TEXT NOT NULL,
    name TEXT,
    phone TEXT,
    email TEXT,
    added_at TEXT NOT NULL,
    CONSTRAINT campaign_customers_campaign_code_fk FOREIGN KEY (campaign_code) REFERENCES campaigns (code)
);
CREATE INDEX campaign_customers_campaign_code ON campaign_customers (campaign_code);
CREATE INDEX campaign_customers_phone ON campaign_customers (phone);

-- Hangs on a customer and, directly, on the campaign.
CREATE TABLE campaign_calls (
    id INTEGER NOT NULL PRIMARY KEY,
    campaign_code TEXT NOT NULL,
    campaign_customer_id INTEGER NOT NULL,
    agent_id INTEGER,
    called_at TEXT NOT NULL,
    outcome TEXT NOT NULL,
    note TEXT,
    CONSTRAINT campaign_calls_campaign_code_fk FOREIGN KEY (campaign_code) REFERENCES campaigns (code),
    CONSTRAINT campaign_calls_campaign_customer_id_fk FOREIGN KEY (campaign_customer_id) REFERENCES campaign_customers (id)
);
CREATE INDEX campaign_calls_campaign_code ON campaign_calls (campaign_code);
CREATE INDEX campaign_calls_campaign_customer_id ON campaign_calls (campaign_customer_id);
CREATE INDEX campaign_calls_agent_id ON campaign_calls (agent_id);
