//! How a connection of each kind is made, before anything is set on it.
//!
//! The driver is picked by the address's scheme, and the driver's own error is kept, cleaned of passwords.

use std::path::Path;
use std::time::Duration;

use diesel::connection::{CacheSize, Connection};
use diesel::{ConnectionError, PgConnection, SqliteConnection};
use diesel_async::AsyncMysqlConnection;
use diesel_async::async_connection_wrapper::{AsyncConnectionWrapper, BlockOn};
use mysql_async::{Opts, OptsBuilder, SslOpts};

use super::conn::{Conn, DriverRuntime, MysqlConnection, Raw};
use super::error::{ErrorKind, StoreError};
use super::pool::DatabaseSpec;
use super::url::StoreUrl;

/// How long one host may take to answer. Less than the pool waits, so that the real error is heard.
const CONNECT_SECONDS: u64 = 8;

/// Whether the file asks for TLS; then a session without it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Tls {
    Asked,
    NotAsked,
}

/// Makes a connection.
///
/// # Errors
/// [`ErrorKind::Unreachable`] or [`ErrorKind::Refused`] with the driver's words, without passwords.
pub(in crate::store) fn establish(spec: &DatabaseSpec) -> Result<(Conn, Tls), StoreError> {
    let (raw, tls) = match &spec.url {
        StoreUrl::Postgres(url) => {
            let (uri, tls) = libpq_uri(url, spec)?;
            let conn = PgConnection::establish(&uri).map_err(|error| connect_error(spec, &error.to_string()))?;
            (Raw::Postgres(conn), tls)
        }
        StoreUrl::Mysql(url) => {
            let (opts, tls) = mysql_opts(url, spec)?;
            (Raw::Mysql(Box::new(mysql(opts, spec)?)), tls)
        }
        StoreUrl::Sqlite(path) => {
            let uri = sqlite_uri(path, spec.create)?;
            let conn = SqliteConnection::establish(&uri).map_err(|error| connect_error(spec, &error.to_string()))?;
            (Raw::Sqlite(conn), Tls::NotAsked)
        }
        StoreUrl::Files(_) => return Err(StoreError::new(ErrorKind::Other, "a file store is no database")),
    };
    let mut conn = Conn::new(raw);
    // The same text is prepared once per connection, not once per batch.
    super::conn::on!(conn, raw => raw.set_prepared_statement_cache_size(CacheSize::Unbounded));
    Ok((conn, tls))
}

fn mysql(opts: Opts, spec: &DatabaseSpec) -> Result<MysqlConnection, StoreError> {
    let limit = Duration::from_secs(CONNECT_SECONDS);
    let made = DriverRuntime::get_runtime().block_on(async move {
        let connecting = async {
            let conn = mysql_async::Conn::new(opts).await.map_err(|error| error.to_string())?;
            AsyncMysqlConnection::try_from(conn).await.map_err(|error: ConnectionError| error.to_string())
        };
        tokio::time::timeout(limit, connecting).await
    });
    match made {
        Ok(Ok(conn)) => Ok(AsyncConnectionWrapper::from(conn)),
        Ok(Err(words)) => Err(connect_error(spec, &words)),
        Err(_) => {
            let message = format!("no answer within {CONNECT_SECONDS} s");
            Err(StoreError::new(ErrorKind::Unreachable, message))
        }
    }
}

/// Sorts what a driver said while connecting, and takes passwords out of it.
fn connect_error(spec: &DatabaseSpec, words: &str) -> StoreError {
    let mut text = words.trim().replace(['\n', '\t'], " ");
    let given = spec.password.as_ref().map(|password| password.expose().clone());
    for secret in spec.url.secrets().into_iter().chain(given).filter(|secret| !secret.is_empty()) {
        text = text.replace(&secret, "***").replace(&percent_encoded(&secret), "***");
    }
    if text.contains("://") {
        "the address could not be read by the driver".clone_into(&mut text);
    }
    let lower = text.to_ascii_lowercase();
    let answered = [
        "authentication failed",
        "access denied",
        "does not exist",
        "unknown database",
        "pg_hba.conf",
        "permission denied for database",
        "not permitted to log in",
        "no password supplied",
        "certificate",
        "does not support ssl",
        "ssl connection is required",
        "tls",
        "capabil",
    ];
    let refused = answered.iter().any(|words| lower.contains(words));
    StoreError::new(if refused { ErrorKind::Refused } else { ErrorKind::Unreachable }, text)
}

/// The value of the last parameter of that name, as the drivers read it.
fn parameter(query: &str, keys: &[&str]) -> Option<String> {
    let pairs = url::form_urlencoded::parse(query.as_bytes());
    pairs.filter(|(key, _)| keys.contains(&key.as_ref())).map(|(_, value)| value.into_owned()).last()
}

/// Adds password, certificate and timeouts to a PostgreSQL address.
fn libpq_uri(url: &str, spec: &DatabaseSpec) -> Result<(String, Tls), StoreError> {
    let (address, query) = url.split_once('?').unwrap_or((url, ""));
    let mut uri = if query.is_empty() { format!("{address}?") } else { format!("{address}?{query}&") };
    let mut add = |key: &str, value: &str| {
        if !uri.ends_with(['?', '&']) {
            uri.push('&');
        }
        uri.push_str(key);
        uri.push('=');
        uri.push_str(&percent_encoded(value));
    };
    let mode = match parameter(query, &["ssl"]).as_deref() {
        Some("true") => Some("require".to_owned()),
        _ => parameter(query, &["sslmode"]),
    };
    let mut asked = matches!(mode.as_deref(), Some("require" | "verify-ca" | "verify-full"));
    if let Some(ca) = &spec.ca {
        match mode.as_deref() {
            None => add("sslmode", "verify-full"),
            Some("verify-ca" | "verify-full") => {}
            Some(_) => return Err(contradiction("sslmode=verify-full")),
        }
        add("sslrootcert", utf8(ca)?);
        asked = true;
    }
    if let Some(password) = &spec.password {
        add("password", password.expose());
    }
    for (key, value) in [
        ("connect_timeout", CONNECT_SECONDS.to_string().as_str()),
        ("keepalives_idle", "30"),
        ("tcp_user_timeout", "60000"),
        ("application_name", "retentiond"),
    ] {
        if parameter(query, &[key]).is_none() {
            add(key, value);
        }
    }
    Ok((uri, if asked { Tls::Asked } else { Tls::NotAsked }))
}

fn contradiction(instead: &str) -> StoreError {
    StoreError::new(
        ErrorKind::Refused,
        format!("`ca` asks for a verified connection, the address does not: write `{instead}`"),
    )
}

/// The settings of the MySQL driver for an address.
///
/// `ssl-mode=REQUIRED` and `VERIFY_CA` verify certificate and host name here, as `VERIFY_IDENTITY` does: the driver's
/// way to leave the name out does not work with its present TLS library, and stricter is right anyway.
fn mysql_opts(url: &str, spec: &DatabaseSpec) -> Result<(Opts, Tls), StoreError> {
    let bad = |message: String| StoreError::new(ErrorKind::Other, message);
    let mut parsed = url::Url::parse(url).map_err(|error| bad(format!("the address cannot be read: {error}")))?;
    let query = parsed.query().unwrap_or_default().to_owned();
    let ours = ["ssl-mode", "ssl_mode", "sslmode"];
    let mode = parameter(&query, &ours).map(|mode| mode.to_ascii_uppercase().replace('-', "_"));
    parsed.set_query(None);
    for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
        if !ours.contains(&key.as_ref()) {
            parsed.query_pairs_mut().append_pair(&key, &value);
        }
    }
    let opts = Opts::from_url(parsed.as_str()).map_err(|error| bad(format!("the address cannot be read: {error}")))?;
    let mut ssl = opts.ssl_opts().cloned();
    match mode.as_deref() {
        None => {}
        Some("REQUIRED" | "REQUIRE" | "VERIFY_CA" | "VERIFY_IDENTITY" | "VERIFY_FULL") => {
            ssl = Some(ssl.unwrap_or_default().with_danger_skip_domain_validation(false));
        }
        Some("DISABLED" | "DISABLE" | "PREFERRED" | "PREFER") if spec.ca.is_some() => {
            return Err(contradiction("ssl-mode=VERIFY_IDENTITY"));
        }
        Some("DISABLED" | "DISABLE") => ssl = None,
        Some(_) => {
            return Err(bad("`ssl-mode` is DISABLED, REQUIRED, VERIFY_CA or VERIFY_IDENTITY: \
                            PREFERRED would promise nothing"
                .to_owned()));
        }
    }
    if let Some(ca) = &spec.ca {
        // The operator's own authority takes the place of the public ones.
        let base = ssl.unwrap_or_default().with_disable_built_in_roots(true);
        ssl = Some(base.with_root_certs(vec![ca.clone().into()]));
    }
    let asked = ssl.is_some();
    if asked && parameter(&query, &["socket"]).is_some() {
        return Err(StoreError::new(ErrorKind::Refused, "TLS was asked for, and a `socket` is not encrypted"));
    }
    let mut builder = OptsBuilder::from_opts(opts)
        // An UPDATE counts the rows it matched, as on the other two databases.
        .client_found_rows(true)
        // Diesel keeps the prepared statements. A second cache below it would close them behind its back.
        .stmt_cache_size(0)
        .tcp_keepalive(Some(30_000_u32))
        .ssl_opts::<Option<SslOpts>>(ssl);
    if parameter(&query, &["prefer_socket"]).is_none() {
        // Else an address on 127.0.0.1 is silently exchanged for the socket that the server names, which may be
        // another server's when ports are forwarded.
        builder = builder.prefer_socket(false);
    }
    if let Some(password) = &spec.password {
        builder = builder.pass(Some(password.expose().clone()));
    }
    Ok((builder.into(), if asked { Tls::Asked } else { Tls::NotAsked }))
}

/// `file:PATH?mode=rw`: SQLite itself then never creates the file.
fn sqlite_uri(path: &Path, create: bool) -> Result<String, StoreError> {
    let mut uri = String::from("file:");
    let text = utf8(path)?;
    // Two slashes would begin a host name.
    let text = if text.starts_with("//") { format!("/{}", text.trim_start_matches('/')) } else { text.to_owned() };
    for c in text.chars() {
        match c {
            '%' => uri.push_str("%25"),
            '?' => uri.push_str("%3f"),
            '#' => uri.push_str("%23"),
            c => uri.push(c),
        }
    }
    uri.push_str(if create { "?mode=rwc" } else { "?mode=rw" });
    Ok(uri)
}

fn utf8(path: &Path) -> Result<&str, StoreError> {
    path.to_str().ok_or_else(|| StoreError::new(ErrorKind::Other, format!("{} is not UTF-8", path.display())))
}

fn percent_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            for digit in [byte >> 4, byte & 15] {
                out.push(char::from(b"0123456789ABCDEF"[usize::from(digit)]));
            }
        }
    }
    out
}
