//! `jobs.toml` → [`document::Document`], in passes, spans kept to the end: text → tables with spans ([`source`]) → typed
//! sections ([`section`]) → a document whose names fit together ([`checks`]). Knows no job kind: a job's own keys stay
//! untyped until its kind reads them.

mod address;
pub mod blackout;
mod checks;
pub mod condition;
pub mod cron;
pub mod diagnostic;
pub mod document;
pub mod listen;
pub mod period;
pub mod personal;
mod raw;
pub mod roles;
pub mod schema;
pub mod secret;
pub mod section;
pub mod source;
pub mod span;
mod stores;
pub mod tenants;
pub mod timing;
pub mod trail;
pub mod values;
mod visitors;
pub mod window;

use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use diagnostic::Diagnostics;
use document::Document;
use source::Source;

use crate::clock::Clock;

/// A file that was read.
pub struct Loaded {
    /// What it says.
    pub document: Document,
    /// Where it says it.
    pub source: Arc<Source>,
    /// What is odd but no error.
    pub warnings: Diagnostics,
    /// SHA-256 over the text of all files, in hexadecimal.
    pub hash: String,
}

/// A file that was refused.
pub struct Refused {
    /// All its mistakes.
    pub diagnostics: Diagnostics,
    /// Where they are.
    pub source: Source,
}

/// Reads a file and what it includes.
///
/// # Errors
/// With all mistakes of all files at once.
pub fn load(path: &Path) -> Result<Loaded, Box<Refused>> {
    let mut diagnostics = Diagnostics::default();
    let source = Source::read(path, &mut diagnostics);
    finish(source, diagnostics)
}

/// Reads a text as if it were a file of that name.
///
/// # Errors
/// With all its mistakes at once.
pub fn load_text(name: &str, text: &str) -> Result<Loaded, Box<Refused>> {
    let mut diagnostics = Diagnostics::default();
    let source = Source::of_text(name, text, &mut diagnostics);
    finish(source, diagnostics)
}

fn finish(source: Source, mut diagnostics: Diagnostics) -> Result<Loaded, Box<Refused>> {
    let mut document = section::read_document(&source, &mut diagnostics);
    checks::check(&mut document, &mut diagnostics);
    personal::check(&document, Clock::system().now(), &mut diagnostics);
    if diagnostics.has_errors() {
        return Err(Box::new(Refused { diagnostics, source }));
    }
    let mut hash = Sha256::new();
    for text in source.texts() {
        hash.update(text);
        hash.update([0]);
    }
    let hash = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Loaded { document, source: Arc::new(source), warnings: diagnostics, hash })
}

#[cfg(test)]
mod tests;
