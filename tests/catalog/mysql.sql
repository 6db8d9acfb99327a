CREATE TABLE users (id bigint unsigned AUTO_INCREMENT PRIMARY KEY, login varchar(40) NOT NULL UNIQUE,
  `group` int, mood enum('sad','it''s ok','happy') DEFAULT 'sad', tags set('a','b'), manager_id bigint unsigned,
  initials varchar(10) GENERATED ALWAYS AS (upper(login)) STORED, on_ tinyint(1) NOT NULL DEFAULT 1,
  updated timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp(),
  doc json, ext uuid, ip inet6, raw binary(16) UNIQUE, amount decimal(12,3) unsigned, note text COLLATE latin1_german1_ci,
  FOREIGN KEY (manager_id) REFERENCES users (id) ON DELETE SET NULL, CONSTRAINT sane CHECK (amount > 0 OR `group` = 1)) ENGINE=InnoDB;
CREATE TABLE `Order Details` (`Order` int, `a.b` char(36), PRIMARY KEY (`a.b`, `Order`)) ENGINE=InnoDB;
CREATE TABLE CamelCase (x int, `order` int, ref char(36), KEY two (ref, `order`), KEY pre (ref(5)),
  UNIQUE KEY upre (ref(7)), FULLTEXT KEY ft (ref),
  FOREIGN KEY (ref, `order`) REFERENCES `Order Details` (`a.b`, `Order`) ON DELETE CASCADE) ENGINE=InnoDB;
CREATE TABLE asleep (x int, KEY k (x) IGNORED);
CREATE TABLE isam (id int PRIMARY KEY) ENGINE=MyISAM;
CREATE TABLE mem (id int) ENGINE=MEMORY;
CREATE TABLE parts (id int, at date) ENGINE=InnoDB PARTITION BY RANGE (YEAR(at)) (PARTITION p0 VALUES LESS THAN (2020), PARTITION p1 VALUES LESS THAN MAXVALUE);
CREATE TABLE history (id int) WITH SYSTEM VERSIONING;
CREATE SEQUENCE seq;
CREATE VIEW v_users AS SELECT id, login FROM users;
CREATE TRIGGER keeper BEFORE DELETE ON isam FOR EACH ROW SET @x = 1;
CREATE TRIGGER teller AFTER UPDATE ON isam FOR EACH ROW SET @x = 1;
CREATE TABLE kinds (a bit(1), b bit(12), c year, d float, e time(3), f datetime(3), g varbinary(9), h longblob, i point, j int(5) unsigned zerofill, k double);
