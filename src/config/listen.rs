//! Where the metrics are read: a loopback port or a Unix socket, nothing that another machine could reach.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};

/// `"127.0.0.1:9187"`, `"[::1]:9187"` or `"unix:/run/retentiond/metrics.sock"`.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String")]
pub enum Listen {
    /// A port of this machine alone.
    Loopback(SocketAddr),
    /// A socket in the file system.
    Unix(PathBuf),
}

impl Listen {
    /// Reads an address.
    ///
    /// # Errors
    /// What to write instead.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = PathBuf::from(path);
            return if path.is_absolute() { Ok(Self::Unix(path)) } else { Err("a socket is named by its whole path") };
        }
        match text.parse::<SocketAddr>() {
            Ok(address) if address.ip().is_loopback() => Ok(Self::Loopback(address)),
            Ok(_) => Err("metrics are read on this machine only; write 127.0.0.1:PORT, [::1]:PORT or unix:PATH"),
            Err(_) => Err("an address is written \"127.0.0.1:9187\" or \"unix:/run/retentiond/metrics.sock\""),
        }
    }
}

impl<'de> Deserialize<'de> for Listen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loopback(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_another_machine_could_reach() {
        for good in ["127.0.0.1:9187", "127.8.8.8:1", "[::1]:9187", "unix:/run/x.sock"] {
            assert_eq!(Listen::parse(good).unwrap().to_string(), good);
        }
        for bad in [
            "",
            "9187",
            "0.0.0.0:9187",
            "[::]:9187",
            "10.0.0.1:9187",
            "localhost:9187",
            "unix:x.sock",
            "127.0.0.1",
            "127.0.0.1:99999",
        ] {
            assert!(Listen::parse(bad).is_err(), "{bad}");
        }
    }
}
