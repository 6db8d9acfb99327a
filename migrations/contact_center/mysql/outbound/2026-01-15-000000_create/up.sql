-- Outbound: campaigns, whom they call, and the calls made.
-- Times are in UTC.

-- A text key. finished_at: NULL while the campaign runs.
CREATE TABLE campaigns (
    code VARCHAR(40) NOT NULL PRIMARY KEY,
    name VARCHAR(200) NOT NULL,
    status VARCHAR(20) NOT NULL,
    owner_id BIGINT NULL,
    started_at DATETIME(6) NOT NULL,
    finished_at DATETIME(6) NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
CREATE INDEX campaigns_finished_at ON campaigns (finished_at);
CREATE INDEX campaigns_owner_id ON campaigns (owner_id);

CREATE TABLE campaign_customers (
    id BIGINT NOT NULL PRIMARY KEY,
    campaign_code VARCHAR(40) NOT NULL,
    name VARCHAR(200) NULL,
    phone VARCHAR(60) NULL,
    email VARCHAR(200) NULL,
    added_at DATETIME(6) NOT NULL,
    CONSTRAINT campaign_customers_campaign_code_fk FOREIGN KEY (campaign_code) REFERENCES campaigns (code)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
CREATE INDEX campaign_customers_campaign_code ON campaign_customers (campaign_code);
CREATE INDEX campaign_customers_phone ON campaign_customers (phone);

-- Hangs on a customer and, directly, on the campaign.
CREATE TABLE campaign_calls (
    id BIGINT NOT NULL PRIMARY KEY,
    campaign_code VARCHAR(40) NOT NULL,
    campaign_customer_id BIGINT NOT NULL,
    agent_id BIGINT NULL,
    called_at DATETIME(6) NOT NULL,
    outcome VARCHAR(40) NOT NULL,
    note TEXT NULL,
    CONSTRAINT campaign_calls_campaign_code_fk FOREIGN KEY (campaign_code) REFERENCES campaigns (code),
    CONSTRAINT campaign_calls_campaign_customer_id_fk FOREIGN KEY (campaign_customer_id) REFERENCES campaign_customers (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
CREATE INDEX campaign_calls_campaign_code ON campaign_calls (campaign_code);
CREATE INDEX campaign_calls_campaign_customer_id ON campaign_calls (campaign_customer_id);
CREATE INDEX campaign_calls_agent_id ON campaign_calls (agent_id);
