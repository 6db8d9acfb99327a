//! `retentiond-pdf`: a report as JSON on standard input, the same report as PDF on standard output.
//!
//! A program of its own, because typst takes longer to build than all the rest and much memory to run: it may use 512 MiB
//! here, and a document that is too much for it costs one PDF and nothing else. It opens no file but fonts. The values of
//! the report reach the page as data and are never read as markup; none of them gets into a message.

mod page;

use std::io::{BufRead as _, Read as _, Write as _};
use std::process::ExitCode;

use retentiond::report::Report;
use rustix::process::{Resource, Rlimit, setrlimit};

/// Most memory, in bytes. File mappings, which fonts are, do not count.
const MEMORY: u64 = 512 << 20;
/// Longest input: more than any report with its records cut to a few hundred a category.
const LONGEST: u64 = 128 << 20;

fn main() -> ExitCode {
    match make() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn make() -> Result<(), String> {
    let limit = Rlimit { current: Some(MEMORY), maximum: Some(MEMORY) };
    setrlimit(Resource::Data, limit).map_err(|error| format!("its memory cannot be limited: {error}"))?;
    // What a panic would say could quote the document.
    std::panic::set_hook(Box::new(|_| eprintln!("the document cannot be laid out")));
    let mut input = std::io::stdin().lock().take(LONGEST);
    let mut words = String::new();
    input.read_line(&mut words).map_err(|error| format!("the words cannot be read: {error}"))?;
    // The place of a mistake in the JSON may be told, its text not.
    let wrong = |what: &str, error: &serde_json::Error| {
        format!("{what}: no such JSON, line {} column {}", error.line(), error.column())
    };
    let words = serde_json::from_str(&words).map_err(|error| wrong("the words", &error))?;
    let report: Report =
        serde_json::from_reader(std::io::BufReader::new(input)).map_err(|error| wrong("the report", &error))?;
    let pdf = page::pdf(&report, &words)?;
    let mut out = std::io::stdout().lock();
    out.write_all(&pdf).and_then(|()| out.flush()).map_err(|error| format!("the PDF cannot be written: {error}"))
}
