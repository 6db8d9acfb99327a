//! Where a store is: `jobs.toml`'s `url`, read without guessing.
//!
//! A bare path is refused, since a typing error would make an empty SQLite database that looks purged. Paths after
//! `sqlite:` and `file:` are taken literally: nothing in them is percent-decoded.

use std::fmt;
use std::path::PathBuf;

use super::error::{ErrorKind, StoreError};

/// The address of a store.
#[derive(Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// A `postgres://` address, as libpq reads it (several hosts, `host=/run/postgresql` and `sslmode=` included).
    Postgres(String),
    /// A `mysql://` address with a database in it.
    Mysql(String),
    /// The file of an SQLite database.
    Sqlite(PathBuf),
    /// The root directory of a file store.
    Files(PathBuf),
}

/// The forms that an address can have, for messages.
const FORMS: &str =
    "`postgres://user@host/database`, `mysql://user@host/database`, `sqlite:/path/to/file` or `file:/path`";

impl StoreUrl {
    /// The database that the address is of; `None` for a folder.
    pub fn backend(&self) -> Option<super::Backend> {
        match self {
            Self::Postgres(_) => Some(super::Backend::Postgres),
            Self::Mysql(_) => Some(super::Backend::Mysql),
            Self::Sqlite(_) => Some(super::Backend::Sqlite),
            Self::Files(_) => None,
        }
    }

    /// Reads an address.
    ///
    /// # Errors
    /// [`ErrorKind::Other`] with a hint, never with the address itself: it may hold a password.
    pub fn parse(text: &str) -> Result<Self, StoreError> {
        let text = text.trim();
        let Some((scheme, rest)) = text.split_once(':') else {
            return Err(refused(format!("an address needs a scheme: {FORMS}")));
        };
        match scheme.to_ascii_lowercase().as_str() {
            "sqlite" | "sqlite3" => sqlite(rest),
            "file" => files(rest),
            "postgres" | "postgresql" => server(rest).map(|rest| Self::Postgres(format!("postgresql:{rest}"))),
            "mysql" | "mariadb" => {
                let rest = server(rest)?;
                let path = rest.split('?').next().unwrap_or_default().trim_start_matches('/');
                match path.split_once('/') {
                    Some((_, database)) if !database.is_empty() => Ok(Self::Mysql(format!("mysql:{rest}"))),
                    _ => Err(refused("a `mysql://` address must name its database: `mysql://user@host/database`")),
                }
            }
            "s3" => Err(refused("`s3://` stores are not built yet; a mounted directory works as `file:/path`")),
            other => {
                let known = ["postgres", "postgresql", "mysql", "mariadb", "sqlite", "file"];
                let near = known.into_iter().find(|name| strsim::jaro_winkler(name, other) > 0.85);
                match near {
                    Some(name) => {
                        Err(refused(format!("there is no such scheme; did you mean `{name}:`? Known: {FORMS}")))
                    }
                    None => Err(refused(format!("there is no such scheme; known: {FORMS}"))),
                }
            }
        }
    }

    /// Every secret that stands in the address itself, so that messages of drivers can be cleaned of it.
    pub(in crate::store) fn secrets(&self) -> Vec<String> {
        let (Self::Postgres(url) | Self::Mysql(url)) = self else { return Vec::new() };
        let (address, query) = url.split_once('?').unwrap_or((url, ""));
        let user_info = authority(address).rsplit_once('@').map(|(user_info, _)| user_info);
        let password = user_info.and_then(|info| info.split_once(':')).map(|(_, password)| password);
        let parameters = query.split('&').filter_map(|pair| pair.split_once('=')).filter(|(key, _)| is_secret(key));
        let raw = password.into_iter().chain(parameters.map(|(_, value)| value)).filter(|secret| !secret.is_empty());
        raw.flat_map(|secret| [secret.to_owned(), percent_decoded(secret)]).collect()
    }
}

/// Shows the address without its passwords.
impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = match self {
            Self::Sqlite(path) => return write!(f, "sqlite:{}", path.display()),
            Self::Files(path) => return write!(f, "file:{}", path.display()),
            Self::Postgres(url) | Self::Mysql(url) => url,
        };
        let (address, query) = url.split_once('?').map_or((url.as_str(), None), |(a, q)| (a, Some(q)));
        let authority = authority(address);
        match authority.rsplit_once('@').and_then(|(info, host)| Some((info.split_once(':')?.0, host))) {
            Some((user, host)) => f.write_str(&address.replacen(authority, &format!("{user}:***@{host}"), 1))?,
            None => f.write_str(address)?,
        }
        for (index, pair) in query.into_iter().flat_map(|query| query.split('&')).enumerate() {
            f.write_str(if index == 0 { "?" } else { "&" })?;
            match pair.split_once('=') {
                Some((key, _)) if is_secret(key) => write!(f, "{key}=***")?,
                _ => f.write_str(pair)?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreUrl({self})")
    }
}

fn refused(message: impl Into<String>) -> StoreError {
    StoreError::new(ErrorKind::Other, message)
}

/// Whether a parameter's value must not be shown. Encoded spellings of the key count too.
fn is_secret(key: &str) -> bool {
    let key = percent_decoded(key).to_ascii_lowercase();
    key.contains("pass") && key != "passfile" || key.contains("secret")
}

/// What stands between `//` and the next `/`: user, password, host and port.
fn authority(address: &str) -> &str {
    let after = address.split_once("//").map_or(address, |(_, after)| after);
    after.split('/').next().unwrap_or_default()
}

fn percent_decoded(text: &str) -> String {
    // A plus sign stays a plus sign: only forms decode it.
    let pair = text.replace('+', "%2B");
    url::form_urlencoded::parse(pair.replace('&', "%26").replace('=', "%3D").as_bytes())
        .map(|(key, _)| key.into_owned())
        .collect()
}

/// A database server's address, from `//` on.
fn server(rest: &str) -> Result<&str, StoreError> {
    if !rest.starts_with("//") {
        return Err(refused(format!("a database server's address begins with `//`: {FORMS}")));
    }
    // An unescaped `@`, `/` or `#` in a password would make the driver take a part of it for the host, and print it.
    let address = rest.split('?').next().unwrap_or_default();
    if address.matches('@').count() > 1
        || !authority(address).contains('@') && address.contains('@')
        || rest.contains('#')
    {
        return Err(refused("`@`, `/`, `?` and `#` in a user name or password must be written %40, %2F, %3F and %23"));
    }
    if rest.chars().any(|c| c.is_control() || c == ' ') {
        return Err(refused("the address holds a blank or a control character"));
    }
    Ok(rest)
}

fn sqlite(rest: &str) -> Result<StoreUrl, StoreError> {
    let path = rest.strip_prefix("//").unwrap_or(rest);
    if path.is_empty() || path.ends_with('/') {
        return Err(refused("an SQLite address names a file: `sqlite:/path/to/file`"));
    }
    if path.starts_with(":memory:") || path.starts_with("file:") || path.contains('\0') {
        return Err(refused("an SQLite address is a plain path: `sqlite:/path/to/file`"));
    }
    Ok(StoreUrl::Sqlite(PathBuf::from(path)))
}

fn files(rest: &str) -> Result<StoreUrl, StoreError> {
    let path = match rest.strip_prefix("//") {
        Some(path) if path.starts_with('/') => path,
        Some(_) => return Err(refused("a file store is a local directory: `file:/path` or `file:///path`")),
        None => rest,
    };
    if path.is_empty() || path.contains('\0') {
        return Err(refused("a file store names a directory: `file:/path`"));
    }
    Ok(StoreUrl::Files(PathBuf::from(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_read() {
        let path = |text: &str| match StoreUrl::parse(text).unwrap() {
            StoreUrl::Sqlite(path) | StoreUrl::Files(path) => path.display().to_string(),
            other => panic!("{other:?}"),
        };
        assert_eq!(path("sqlite:/var/x.db"), "/var/x.db");
        assert_eq!(path("sqlite:x.db"), "x.db");
        assert_eq!(path("sqlite://x/y.db"), "x/y.db");
        assert_eq!(path("sqlite:///var/x%20?.db"), "/var/x%20?.db");
        assert_eq!(path("file:recordings"), "recordings");
        assert_eq!(path("file:///srv/r"), "/srv/r");
        assert_eq!(path("FILE:/srv/r"), "/srv/r");
        for (text, kept) in [
            ("postgres://u@h1:5432,h2/db?sslmode=require", "postgresql://u@h1:5432,h2/db?sslmode=require"),
            ("postgresql:///db?host=/run/postgresql", "postgresql:///db?host=/run/postgresql"),
            ("mariadb://u@h/db", "mysql://u@h/db"),
        ] {
            assert_eq!(StoreUrl::parse(text).unwrap().to_string(), kept);
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_a_hint() {
        for (text, hint) in [
            ("", "scheme"),
            ("/var/lib/x.db", "scheme"),
            ("x.db", "scheme"),
            ("postgre://u@h/db", "did you mean `postgres:`"),
            ("s3://bucket", "not built yet"),
            ("oracle://x", "known:"),
            ("mysql://u@h", "must name its database"),
            ("mysql://u@h/", "must name its database"),
            ("mysql://u@h/?x=/y", "must name its database"),
            ("mysql:u@h/db", "begins with `//`"),
            ("sqlite:", "names a file"),
            ("sqlite:///", "names a file"),
            ("sqlite::memory:", "plain path"),
            ("sqlite:file:x?mode=rwc", "plain path"),
            ("file://host/dir", "local directory"),
            ("file:", "names a directory"),
            ("postgres://u:p@ss@h/db", "%40"),
            ("postgres://u:p/ss@h/db", "%2F"),
            ("postgres://u:p#ss@h/db", "%23"),
        ] {
            let error = StoreUrl::parse(text).unwrap_err().to_string();
            assert!(error.contains(hint), "{text}: {error}");
            assert!(!error.contains("p@ss"), "{error}");
        }
    }

    #[test]
    fn no_password_is_shown() {
        for text in [
            "postgres://u:hunter2@h/db",
            "postgres://u@h/db?password=hunter2&sslmode=require",
            "postgres://u@h/db?p%61ssword=hunter2",
            "postgres://u@h/db?sslpassword=hunter2",
            "mysql://u:hunter2@h/db?require_ssl=true",
        ] {
            let url = StoreUrl::parse(text).unwrap();
            assert!(!format!("{url} {url:?}").contains("hunter2"), "{url}");
            assert!(url.secrets().contains(&"hunter2".to_owned()), "{text}");
        }
        let url = StoreUrl::parse("mysql://u:a%40b+c@h/db").unwrap();
        assert!(url.secrets().contains(&"a@b+c".to_owned()));
        assert_eq!(url.to_string(), "mysql://u:***@h/db");
    }
}
