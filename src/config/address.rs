//! Where an address leads, as far as its words alone tell: `postgresql://u@DB1:5432/acme` and `postgres://db1/acme` are one
//! place. What the words do not tell (two names of one host), the databases' identities do when they are opened.

use std::path::Path;

use super::values::UrlSource;

impl UrlSource {
    /// The place, for comparison with another.
    pub(super) fn place(&self) -> String {
        self.resolve().map_or_else(|_| format!("{self:?}"), |url| place(&url))
    }
}

fn place(url: &str) -> String {
    let Some((scheme, rest)) = url.trim().split_once(':') else { return url.to_owned() };
    match scheme.to_ascii_lowercase().as_str() {
        "sqlite" | "sqlite3" => format!("sqlite:{}", path(rest)),
        "file" => format!("file:{}", path(rest)),
        "postgres" | "postgresql" => format!("postgres:{}", server(rest, "5432")),
        "mysql" | "mariadb" => format!("mysql:{}", server(rest, "3306")),
        _ => url.to_owned(),
    }
}

/// Of a file or folder that is there, what its links lead to.
fn path(rest: &str) -> String {
    let path = Path::new(rest.strip_prefix("//").unwrap_or(rest));
    let plain = || path.components().collect();
    path.canonicalize().unwrap_or_else(|_| plain()).display().to_string()
}

/// Hosts, database and what chooses among its schemas. Who connects, and how, makes no other place.
fn server(rest: &str, port: &str) -> String {
    let (address, query) = rest.split_once('?').unwrap_or((rest, ""));
    let address = address.trim_start_matches('/');
    let (authority, database) = address.split_once('/').unwrap_or((address, ""));
    let hosts = authority.rsplit_once('@').map_or(authority, |(_, hosts)| hosts).to_ascii_lowercase();
    let usual = format!(":{port}");
    let hosts: Vec<&str> = hosts.split(',').map(|host| host.strip_suffix(&usual).unwrap_or(host)).collect();
    let chooses = |key: &str| ["host", "hostaddr", "port", "dbname", "options", "socket"].contains(&key);
    let mut more: Vec<&str> =
        query.split('&').filter(|pair| chooses(pair.split('=').next().unwrap_or_default())).collect();
    more.sort_unstable();
    format!("//{}/{}?{}", hosts.join(","), database.trim_end_matches('/'), more.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_place_are_the_same() {
        for (one, other) in [
            ("postgres://u@db1/acme", "postgresql://other@DB1:5432/acme?sslmode=require"),
            ("mysql://u@h/x", "mariadb://h:3306/x/"),
            ("sqlite:/srv/a.db", "sqlite:///srv/./a.db"),
            ("sqlite:/srv//a.db", "SQLite:/srv/a.db"),
            ("file:/srv/voice/", "file:///srv/voice"),
            ("postgres:///x?host=/run/pg&sslmode=prefer", "postgres:///x?host=/run/pg"),
        ] {
            assert_eq!(place(one), place(other));
        }
        for (one, other) in [
            ("postgres://db1/acme", "postgres://db1/beta"),
            ("postgres://db1/acme", "postgres://db2/acme"),
            ("postgres://db1/acme", "postgres://db1:5433/acme"),
            ("postgres:///x?host=/run/a", "postgres:///x?host=/run/b"),
            ("postgres://h/x?options=-csearch_path%3Da", "postgres://h/x?options=-csearch_path%3Db"),
            ("sqlite:/srv/a.db", "file:/srv/a.db"),
            ("sqlite:/srv/a.db", "sqlite:/srv/A.db"),
        ] {
            assert_ne!(place(one), place(other));
        }
    }

    #[test]
    fn a_link_leads_to_what_it_is_a_link_to() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real.db"), folder.path().join("link.db"));
        std::fs::write(&real, "").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        assert_eq!(place(&format!("sqlite:{}", link.display())), place(&format!("sqlite://{}", real.display())));
    }
}
