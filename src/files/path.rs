//! The path of one file beneath a root, as a row states it.
//!
//! A column can hold anything. What comes out of [`RelativePath::parse`] is made of plain components, so that together
//! with `openat2` beneath the root it cannot name anything outside. A refusal says why, never what: paths are personal
//! data, and the type has neither `Debug` nor `Display`.

use crate::redact::Sealed;

/// Longest component, in bytes; what Linux file systems allow.
const COMPONENT_MAX: usize = 255;
/// Longest path, in bytes; one less than `PATH_MAX`, which counts the terminating NUL.
const PATH_MAX: usize = 4095;
/// How retentiond's own names in a store begin.
const RESERVED_PREFIX: &str = ".retentiond-";
/// Schemes that are written without `/` after the colon as well.
const SCHEMES: [&str; 16] = [
    "http", "https", "ftp", "sftp", "file", "s3", "gs", "azure", "smb", "nfs", "rtsp", "data", "blob", "urn", "cid",
    "mailto",
];

/// Why the text of a column is not the path of a file in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathRefused {
    /// Empty or blank.
    #[error("it is blank")]
    Blank,
    /// Begins with `/`.
    #[error("it is absolute; paths are relative to the store's root")]
    Absolute,
    /// `https://…`, `s3://…`, `C:…`.
    #[error("it is a URL or names a drive, not a path beneath the store's root")]
    Url,
    /// A component `.` or `..`.
    #[error("it has a component `.` or `..`")]
    Dots,
    /// `a//b` or a trailing `/`.
    #[error("it has an empty component, or ends with `/`")]
    EmptyComponent,
    /// A NUL byte.
    #[error("it has a NUL byte")]
    Nul,
    /// A backslash: in all likelihood a path of Windows, whose file would seem to be missing here.
    #[error("it has a backslash")]
    Backslash,
    /// A component over 255 bytes.
    #[error("a component is longer than 255 bytes")]
    ComponentTooLong,
    /// More than 4095 bytes.
    #[error("it is longer than 4095 bytes")]
    TooLong,
    /// One of retentiond's own: the marker or the trash folder.
    #[error("it names retentiond's own marker or trash folder")]
    Reserved,
    /// A column within a longer template holds `/` or NUL and would choose the folder as well.
    #[error("a column within a longer template holds a `/`, which would choose another folder")]
    SeparatorInValue,
    /// Not as many values as the template has columns.
    #[error("the template was not given one value a column")]
    ValueCount,
}

/// A path beneath a root: one or more plain components.
///
/// File names may contain any character but `/`, NUL and a backslash, a colon too (`call-12:30:05.wav`).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RelativePath(String);

impl RelativePath {
    /// Reads a path out of a column.
    ///
    /// # Errors
    /// Why the text names no file beneath the root.
    pub fn parse(text: &Sealed<String>) -> Result<Self, PathRefused> {
        check(text.expose())?;
        Ok(Self(text.expose().clone()))
    }

    pub(super) fn text(&self) -> &str {
        &self.0
    }

    /// The folder, if any, and the name in it.
    pub(super) fn split(&self) -> (Option<&str>, &str) {
        match self.0.rsplit_once('/') {
            Some((folder, name)) => (Some(folder), name),
            None => (None, &self.0),
        }
    }

    pub(super) fn first(&self) -> &str {
        self.0.split('/').next().unwrap_or_default()
    }
}

fn check(text: &str) -> Result<(), PathRefused> {
    if text.trim().is_empty() {
        return Err(PathRefused::Blank);
    }
    if text.contains('\0') {
        return Err(PathRefused::Nul);
    }
    if text.len() > PATH_MAX {
        return Err(PathRefused::TooLong);
    }
    if text.contains('\\') {
        return Err(PathRefused::Backslash);
    }
    if text.starts_with('/') {
        return Err(PathRefused::Absolute);
    }
    if is_url(text) {
        return Err(PathRefused::Url);
    }
    text.split('/').try_for_each(check_component)
}

fn check_component(component: &str) -> Result<(), PathRefused> {
    if component.is_empty() {
        return Err(PathRefused::EmptyComponent);
    }
    if component == "." || component == ".." {
        return Err(PathRefused::Dots);
    }
    if component.len() > COMPONENT_MAX {
        return Err(PathRefused::ComponentTooLong);
    }
    // Compared as bytes: the prefix length need not be a character boundary of the component.
    let head = component.as_bytes().get(..RESERVED_PREFIX.len());
    if head.is_some_and(|head| head.eq_ignore_ascii_case(RESERVED_PREFIX.as_bytes())) {
        return Err(PathRefused::Reserved);
    }
    Ok(())
}

/// Whether the text begins like a URL or with a drive letter.
///
/// A colon alone does not make a URL: recorders put times of day into names. It takes `scheme:/`, a well-known scheme,
/// or a single letter.
fn is_url(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else {
        return false;
    };
    let mut chars = scheme.chars();
    let grammatical = chars.next().is_some_and(|first| first.is_ascii_alphabetic())
        && chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '.' | '-'));
    grammatical
        && (scheme.len() == 1
            || rest.starts_with('/')
            || SCHEMES.iter().any(|known| scheme.eq_ignore_ascii_case(known)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refusal(text: &str) -> Option<PathRefused> {
        RelativePath::parse(&Sealed::new(text.to_owned())).err()
    }

    #[test]
    fn ordinary_paths_pass() {
        let longest = vec!["x".repeat(255); 16].join("/");
        for good in [
            "a.wav",
            "2024/01/02/a.wav",
            "call-2024-01-02T12:30:05.wav",
            "12:30.wav",
            "josé/é ü.wav",
            "...",
            "a..b/..c",
            "-rf",
            "~",
            "$HOME",
            "a\nb",
            "*",
            ".retentiond",
            longest.as_str(),
        ] {
            assert_eq!(refusal(good), None, "{good:?}");
        }
    }

    #[test]
    fn every_refusal_has_its_reason() {
        let long = "x".repeat(256);
        let longer = vec!["x".repeat(250); 17].join("/");
        for (bad, why) in [
            ("", PathRefused::Blank),
            (" \t", PathRefused::Blank),
            ("/etc/passwd", PathRefused::Absolute),
            ("//x", PathRefused::Absolute),
            ("https://h/x", PathRefused::Url),
            ("S3:bucket", PathRefused::Url),
            ("C:x", PathRefused::Url),
            ("weird+x:/y", PathRefused::Url),
            ("..", PathRefused::Dots),
            ("a/../b", PathRefused::Dots),
            ("a/..", PathRefused::Dots),
            ("./a", PathRefused::Dots),
            ("a//b", PathRefused::EmptyComponent),
            ("a/", PathRefused::EmptyComponent),
            ("a\0b", PathRefused::Nul),
            ("a\\b", PathRefused::Backslash),
            (".retentiond-store", PathRefused::Reserved),
            (".Retentiond-TRASH/x/0", PathRefused::Reserved),
            ("a/.retentiond-x", PathRefused::Reserved),
            (long.as_str(), PathRefused::ComponentTooLong),
            (longer.as_str(), PathRefused::TooLong),
        ] {
            assert_eq!(refusal(bad), Some(why), "{bad:?}");
            let said = why.to_string();
            assert!(bad.trim().len() < 4 || !said.contains(bad), "the refusal repeats the path");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        /// Whatever is accepted stays beneath the root when it is resolved by its components alone.
        #[test]
        fn no_text_panics_and_none_leaves_the_root(text in prop_oneof![
            any::<String>(),
            "[./\\\\a:~\\x00 -]{0,12}",
            "(\\.\\./|\\./|/|a/|é/|\\.\\.|http://|C:|\\.retentiond-trash/|%2e%2e/){0,6}x?",
        ]) {
            if let Ok(path) = RelativePath::parse(&Sealed::new(text)) {
                let joined = std::path::Path::new("/root").join(path.text());
                prop_assert!(joined.starts_with("/root"));
                let plain = std::path::Path::new(path.text())
                    .components()
                    .all(|component| matches!(component, std::path::Component::Normal(_)));
                prop_assert!(plain);
                let (folder, name) = path.split();
                prop_assert!(!name.is_empty() && folder != Some(""));
            }
        }
    }
}
