DROP TABLE consents;
DROP TABLE directory_customers;
DROP TABLE directory_users;
