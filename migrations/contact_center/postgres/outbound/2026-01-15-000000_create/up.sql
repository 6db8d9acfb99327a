-- Outbound: campaigns, whom they call, and the calls made.
-- Times carry their zone.

-- A text key. finished_at: NULL while the campaign runs.
CREATE TABLE campaigns (
    code VARCHAR(40) PRIMARY KEY,
    name VARCHAR(200) NOT NULL,
    status VARCHAR(20) NOT NULL,
    owner_id BIGINT,
    started_at TIMESTAMPTZ NOT NULL,
    finished_at TIMESTAMPTZ
);
CREATE INDEX campaigns_finished_at ON campaigns (finished_at);
CREATE INDEX campaigns_owner_id ON campaigns (owner_id);

CREATE TABLE campaign_customers (
    id BIGINT PRIMARY KEY,
    campaign_code VARCHAR(40) NOT NULL,
    name VARCHAR(200),
    phone VARCHAR(60),
    email VARCHAR(200),
    added_at TIMESTAMPTZ NOT NULL,
    CONSTRAINT campaign_customers_campaign_code_fk FOREIGN KEY (campaign_code) REFERENCES campaigns (code)
);
CREATE INDEX campaign_customers_campaign_code ON campaign_customers (campaign_code);
CREATE INDEX campaign_customers_phone ON campaign_customers (phone);

-- Hangs on a customer and, directly, on the campaign.
CREATE TABLE campaign_calls (
    id BIGINT PRIMARY KEY,
    campaign_code VARCHAR(40) NOT NULL,
    campaign_customer_id BIGINT NOT NULL,
    agent_id BIGINT,
    called_at TIMESTAMPTZ NOT NULL,
    outcome VARCHAR(40) NOT NULL,
    note TEXT,
    CONSTRAINT campaign_calls_campaign_code_fk FOREIGN KEY (campaign_code) REFERENCES campaigns (code),
    CONSTRAINT campaign_calls_campaign_customer_id_fk FOREIGN KEY (campaign_customer_id) REFERENCES campaign_customers (id)
);
CREATE INDEX campaign_calls_campaign_code ON campaign_calls (campaign_code);
CREATE INDEX campaign_calls_campaign_customer_id ON campaign_calls (campaign_customer_id);
CREATE INDEX campaign_calls_agent_id ON campaign_calls (agent_id);
