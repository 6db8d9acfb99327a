//! What goes to standard output.
//!
//! A reader that went away (`retentiond history | head -1`) is no error and never a panic: what a command does is done to
//! its end, whoever reads of it. What cannot be written for another reason, a full disk say, is told on standard error.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write as _};

/// Writes to standard output, with a new line at the end or as it is.
pub(super) fn write(text: Arguments<'_>, line: bool) {
    let mut out = std::io::stdout().lock();
    let written = out.write_fmt(text).and_then(|()| if line { out.write_all(b"\n") } else { out.flush() });
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => eprintln!("error: standard output: {error}"),
        _ => {}
    }
}

/// A line on standard output.
macro_rules! say {
    ($($text:tt)*) => { $crate::cli::say::write(format_args!($($text)*), true) };
}

/// Text on standard output that has its own line ends.
macro_rules! say_text {
    ($($text:tt)*) => { $crate::cli::say::write(format_args!($($text)*), false) };
}
