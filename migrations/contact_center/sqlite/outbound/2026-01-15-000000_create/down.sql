DROP TABLE campaign_calls;
DROP TABLE campaign_customers;
DROP TABLE campaigns;
