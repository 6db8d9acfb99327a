//! `[mail]`, read and checked.

use std::path::PathBuf;

use super::MailError;
use super::address::Mailbox;
use crate::config::diagnostic::Diagnostics;
use crate::config::document::Mail;
use crate::config::values::SecretRef;

/// A mail server's place, and how TLS is spoken there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its host name, which its certificate must bear.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether TLS is spoken from the first byte (`smtps://`) or after STARTTLS.
    pub tls_from_the_start: bool,
}

/// The way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// A mail server.
    Smtp(Place),
    /// A folder.
    Folder(PathBuf),
}

/// `[mail]`, whole.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The way out.
    pub way: Way,
    /// The sender.
    pub from: Mailbox,
    /// Who hears of what goes wrong.
    pub alerts: Vec<Mailbox>,
    /// The user's name at the server.
    pub username: Option<SecretRef>,
    /// The password.
    pub password: Option<SecretRef>,
    /// A file of certificate authorities to believe instead of the system's.
    pub ca: Option<PathBuf>,
}

impl Settings {
    /// Reads the section; what is wrong with it goes to the diagnostics, each with its key.
    pub fn read(mail: &Mail, diagnostics: &mut Diagnostics) -> Option<Self> {
        let path = |keys: &[&str]| ["mail"].iter().chain(keys).map(|key| (*key).to_owned()).collect::<Vec<String>>();
        let mut wrong = |keys: &[&str], message: &str, help: Option<&str>| {
            diagnostics.error(path(keys), message.to_owned()).with_help(help.map(str::to_owned));
        };
        let way = match mail.smtp.resolve().map_err(|error| error.to_string()).and_then(|url| Way::parse(&url)) {
            Ok(way) => Some(way),
            Err(message) => {
                let help = "smtp://HOST:PORT (STARTTLS), smtps://HOST:PORT (TLS from the start) or file:DIRECTORY";
                wrong(&["smtp"], &message, Some(help));
                None
            }
        };
        let from = Mailbox::parse(&mail.from).map_err(|error| wrong(&["from"], &error.to_string(), None)).ok();
        let mut alerts = Vec::new();
        for (place, to) in mail.alerts.iter().enumerate() {
            match Mailbox::parse(to) {
                Ok(to) => alerts.push(to),
                Err(error) => wrong(&["alerts", &place.to_string()], &error.to_string(), None),
            }
        }
        if mail.username.is_some() != mail.password.is_some() {
            let key = if mail.username.is_some() { "username" } else { "password" };
            wrong(&[key], "a user name and a password go together", None);
        }
        if matches!(way, Some(Way::Folder(_))) && mail.username.is_some() {
            wrong(&["username"], "a folder asks for no user name", None);
        }
        let whole = alerts.len() == mail.alerts.len();
        let (username, password) = (mail.username.clone(), mail.password.clone());
        Some(Self { way: way?, from: from?, alerts, username, password, ca: mail.ca.as_ref().map(Into::into) })
            .filter(|_| whole)
    }
}

impl Way {
    /// Reads an address of a mail server or of a folder.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(folder) = text.strip_prefix("file:") {
            let folder = folder.strip_prefix("//").unwrap_or(folder);
            return if folder.starts_with('/') {
                Ok(Self::Folder(folder.into()))
            } else {
                Err("a mail folder is named by its whole path".to_owned())
            };
        }
        let url = url::Url::parse(text).map_err(|_| "this is no address of a mail server".to_owned())?;
        let (tls_from_the_start, port) = match url.scheme() {
            "smtp" => (false, 587),
            "smtps" => (true, 465),
            _ => return Err("this is no address of a mail server".to_owned()),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err("secrets never stand in the file: say username = { … } and password = { … }".to_owned());
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err("nothing follows the port: TLS is always required and always checked".to_owned());
        }
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or("this names no mail server")?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self::Smtp(Place { host, port: url.port().unwrap_or(port), tls_from_the_start }))
    }
}

/// A secret's text, or why it is not there.
pub(super) fn secret(secret: &SecretRef) -> Result<crate::redact::Sealed, MailError> {
    secret.resolve().map_err(|error| MailError::permanent(format!("[mail]: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_out() {
        let smtp = |host: &str, port, tls_from_the_start| {
            Ok(Way::Smtp(Place { host: host.to_owned(), port, tls_from_the_start }))
        };
        assert_eq!(Way::parse("smtp://mail.example.org:2525"), smtp("mail.example.org", 2525, false));
        assert_eq!(Way::parse("smtp://mail.example.org"), smtp("mail.example.org", 587, false));
        assert_eq!(Way::parse("smtps://mail.example.org"), smtp("mail.example.org", 465, true));
        assert_eq!(Way::parse("smtps://[::1]:465"), smtp("::1", 465, true));
        assert_eq!(Way::parse("file:/var/mail/out"), Ok(Way::Folder("/var/mail/out".into())));
        for bad in [
            "",
            "mail.example.org",
            "http://x",
            "smtp://",
            "smtp://u:p@h",
            "smtp://u@h",
            "smtp://h?tls=none",
            "smtp://h/x",
            "file:out",
            "lmtp://h",
        ] {
            assert!(Way::parse(bad).is_err(), "{bad}");
        }
    }
}
