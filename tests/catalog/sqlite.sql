CREATE TABLE users (id INTEGER PRIMARY KEY, login VARCHAR(40) NOT NULL UNIQUE COLLATE NOCASE, "group" INT, made DATETIME DEFAULT CURRENT_TIMESTAMP,
  manager_id INTEGER REFERENCES Users (ID) ON DELETE SET NULL, initials TEXT GENERATED ALWAYS AS (upper(login)) VIRTUAL,
  born DATE, ext UUID, raw BLOB, ok BOOLEAN, price DECIMAL(10,2), ratio REAL, bare, note TEXT CHECK (length(note) < 100 OR "group" > 1));
CREATE TABLE "Order Details" ("Order" INT, "a.b" TEXT, PRIMARY KEY ("a.b", "Order")) WITHOUT ROWID;
CREATE TABLE CamelCase (x INT, "order" INT, ref TEXT,
  FOREIGN KEY (ref, "order") REFERENCES "Order Details" ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED);
CREATE INDEX camel_two ON CamelCase ("order", ref);
CREATE INDEX camel_expr ON CamelCase (abs(x), ref);
CREATE INDEX camel_part ON CamelCase (x) WHERE x > 0;
CREATE INDEX users_case ON users (note COLLATE NOCASE);
CREATE INDEX users_login ON users (login, "group");
CREATE TABLE textkey (code TEXT PRIMARY KEY, rowid TEXT);
CREATE TABLE nokey (a INT);
CREATE VIEW v_users AS SELECT id, login FROM users;
CREATE VIEW broken AS SELECT * FROM gone;
CREATE VIRTUAL TABLE words USING fts5(body);
CREATE TRIGGER keeper BEFORE DELETE ON Users BEGIN SELECT 1; END;
CREATE TRIGGER teller AFTER UPDATE OF login ON users BEGIN SELECT 1; END;
INSERT INTO nokey (rowid, a) VALUES (101, 1), (102, 2), (103, 3);
INSERT INTO textkey VALUES ('a', 'b'), ('c', 'd');
