//! What a command has to say, before anybody prints it: the command line and the daemon say the same.

use serde_json::Value;

use super::failure::Exit;

/// An answer, for people and for programs.
#[derive(Clone, Debug)]
pub struct Said {
    /// How the command ends.
    pub exit: Exit,
    /// What goes to standard output for people; nothing where it is empty.
    pub text: String,
    /// What goes to standard error, whoever reads: what is wrong, a line or more each.
    pub errors: Vec<String>,
    /// What goes to standard output for programs.
    pub json: Value,
}

impl Said {
    /// An answer of a command that did what it was asked.
    pub fn done(text: String, json: Value) -> Self {
        Self { exit: Exit::Done, text, errors: Vec::new(), json }
    }
}
