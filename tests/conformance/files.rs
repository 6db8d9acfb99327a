//! A file goes with its row, and only with it.

use crate::client::{ALL, Db};
use crate::families::{civil, entry, job};
use crate::site::Site;

/// What keeps row 2 of `scans`, and says nothing.
fn keep_two(db: Db) -> &'static str {
    match db {
        Db::Postgres => {
            "CREATE FUNCTION keep_two() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN CASE WHEN OLD.id = 2 THEN NULL ELSE OLD END; END $$;
             CREATE TRIGGER keep_two BEFORE DELETE ON scans FOR EACH ROW EXECUTE FUNCTION keep_two();"
        }
        Db::Sqlite => {
            "CREATE TRIGGER keep_two BEFORE DELETE ON scans WHEN OLD.id = 2 BEGIN SELECT RAISE(IGNORE); END;"
        }
        Db::Mariadb => "SELECT 1;",
    }
}

/// A child that the database keeps keeps its file: nothing of its batch goes, and the run says why.
#[test]
fn the_file_of_a_row_that_stays_stays() {
    for (db, threaded) in ALL.into_iter().flat_map(|db| [(db, false), (db, true)]).filter(|(db, _)| *db != Db::Mariadb)
    {
        let schema = format!(
            "CREATE TABLE posts (id {{big}} PRIMARY KEY, at {{civil}}, fate {{text}});
             CREATE TABLE scans (id {{big}} PRIMARY KEY, post {{big}}, part_of {{big}}, path {{text}}, fate {{text}});
             CREATE INDEX scans_post ON scans (post); CREATE INDEX scans_part ON scans (part_of); {}",
            keep_two(db)
        );
        let own = if threaded { ", { data = \"scans\", by = \"part_of\" }" } else { "" };
        let links = format!(
            "belongs_to = [{{ data = \"posts\", by = \"post\" }}{own}]\nfile = {{ store = \"voice\", path = \"path\" }}"
        );
        let site = Site::new(db, &schema, &["posts", "scans"], "");
        let voice = site.path("voice");
        std::fs::create_dir(&voice).unwrap();
        let store = format!("[stores.voice]\nurl = \"file:{}\"\n", voice.display());
        let posts = entry("posts", &format!("time = {}", civil(db)));
        site.write_policy(&[store, posts, entry("scans", &links), job("posts", "")].concat());
        assert_eq!(site.program(&["init", "voice"]).exit, 0);
        site.database.sql(
            "INSERT INTO posts VALUES (1, '2020-01-01 00:00:00', 'stays');
             INSERT INTO scans VALUES (1, 1, NULL, 'a', 'stays'), (2, 1, 1, 'b', 'stays'), (3, 1, 1, 'c', 'stays');",
        );
        for name in ["a", "b", "c"] {
            std::fs::write(voice.join(name), name).unwrap();
        }
        site.refuses("it", &["`scans`: rows stay", "trigger"]);
        for name in ["a", "b", "c"] {
            assert_eq!(std::fs::read_to_string(voice.join(name)).unwrap(), name, "{db:?} {threaded}");
        }
    }
}
