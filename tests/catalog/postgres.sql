CREATE SCHEMA archive;
CREATE SCHEMA "Odd.Schema";
CREATE TYPE mood AS ENUM ('sad', 'it''s ok', 'happy');
CREATE DOMAIN short AS varchar(20) CHECK (VALUE <> '');
CREATE DOMAIN shorter AS short NOT NULL;
CREATE TABLE users (id bigserial PRIMARY KEY, login varchar(40) NOT NULL UNIQUE, "group" int, mood mood DEFAULT 'sad',
    nick shorter, manager_id bigint REFERENCES users ON DELETE SET NULL,
    initials text GENERATED ALWAYS AS (upper(login)) STORED, note text COLLATE "C", CHECK (length(note) < 100 OR "group" > 1));
CREATE TABLE archive.users (id int, at timestamptz);
CREATE TABLE archive.events (id int);
CREATE TABLE "Odd.Schema".events (id int);
CREATE TABLE "Order Details" ("Order" int, "a.b" uuid, n int GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY ("a.b", "Order"));
CREATE TABLE "dotted.name" (id int);
CREATE TABLE "CamelCase" (x int, "order" int, "uuid" uuid, FOREIGN KEY ("uuid", "order")
    REFERENCES "Order Details" ("a.b", "Order") ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED);
CREATE INDEX camel_expr ON "CamelCase" (abs(x), "order");
CREATE INDEX camel_part ON "CamelCase" (x) WHERE x > 0;
CREATE INDEX camel_gin ON "CamelCase" USING brin ("order");
CREATE INDEX camel_two ON "CamelCase" ("uuid", "order") INCLUDE (x);
CREATE TABLE queues (id int PRIMARY KEY);
CREATE TABLE events (id bigint, at date, user_id bigint REFERENCES users ON DELETE CASCADE, queue_id int,
    PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM ('2021-01-01') TO ('2022-01-01') PARTITION BY RANGE (at);
CREATE TABLE archive.events_2a PARTITION OF events_2 FOR VALUES FROM ('2021-01-01') TO ('2021-06-01');
ALTER TABLE events_1 ADD CONSTRAINT only_here FOREIGN KEY (queue_id) REFERENCES queues ON DELETE RESTRICT;
CREATE TABLE refers (event bigint, event_at date, FOREIGN KEY (event, event_at) REFERENCES events);
CREATE TABLE parent_old (id int);
CREATE TABLE child_old () INHERITS (parent_old);
CREATE TABLE nokey (a int, b float4, c timestamp(3), d time, e jsonb, f inet, g bytea, h numeric(10,2), i boolean,
    j interval, k int[], l char(5), m json, n double precision, o cidr);
CREATE TABLE secret (id int PRIMARY KEY, tenant int);
ALTER TABLE secret ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON secret USING (tenant = 1);
CREATE VIEW v_users AS SELECT id, login FROM users;
CREATE MATERIALIZED VIEW archive.mv AS SELECT login FROM v_users;
CREATE TABLE ruled (id int);
CREATE RULE nothing AS ON DELETE TO ruled DO INSTEAD NOTHING;
CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER keeper BEFORE DELETE OR UPDATE ON queues FOR EACH ROW EXECUTE FUNCTION keep();
CREATE TRIGGER asleep BEFORE DELETE ON queues FOR EACH ROW EXECUTE FUNCTION keep();
ALTER TABLE queues DISABLE TRIGGER asleep;
CREATE TRIGGER all_parts AFTER INSERT ON events FOR EACH ROW EXECUTE FUNCTION keep();
CREATE TRIGGER one_part BEFORE DELETE ON events_1 FOR EACH ROW EXECUTE FUNCTION keep();
CREATE TEMP TABLE passing (id int);
INSERT INTO archive.users SELECT g, timestamptz '2020-01-01' + g * interval '1 hour' FROM generate_series(1, 1000) g;
ANALYZE archive.users;
