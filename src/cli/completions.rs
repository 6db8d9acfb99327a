//! `retentiond completions SHELL` and `retentiond man`.

use std::io::Write as _;
use std::path::Path;

use crate::control::{Exit, Failure};

/// Prints completions.
pub fn completions(shell: clap_complete::Shell) -> Result<Exit, Failure> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut super::command(), "retentiond", &mut text);
    print(&text)
}

/// What the main page says beyond the options.
const MORE: &str = r#".SH "EXIT STATUS"
0 done; 1 a job failed; 2 the command line is wrong; 3 the file or the map is wrong; 4 braked, held, paused or refused;
5 a database, file store or mail server could not be reached.
.SH FILES
.TP
\fI/etc/retentiond/jobs.toml\fR
The policy. `retentiond schema` prints its JSON Schema.
.TP
\fI/etc/retentiond/credentials/\fR
Secrets, for root alone: systemd hands them to the service, as `retentiond check \-\-unit` says.
.TP
\fI/var/lib/retentiond/\fR
What the service remembers.
"#;

/// Prints the manual page of the program; with a folder, writes it there and a page for each command.
pub fn man(folder: Option<&Path>) -> Result<Exit, Failure> {
    let broken = |error: std::io::Error| Failure::new(Exit::Failed, format!("error: {error}"));
    let mut main = Vec::new();
    clap_mangen::Man::new(super::command()).render(&mut main).map_err(broken)?;
    main.extend_from_slice(MORE.as_bytes());
    let Some(folder) = folder else { return print(&main) };
    let failed = |error: std::io::Error| Failure::new(Exit::Failed, format!("error: {}: {error}", folder.display()));
    clap_mangen::generate_to(super::command(), folder).map_err(failed)?;
    std::fs::write(folder.join("retentiond.1"), main).map_err(failed)?;
    Ok(Exit::Done)
}

/// A closed pipe (`| head`) is no error.
fn print(text: &[u8]) -> Result<Exit, Failure> {
    match std::io::stdout().write_all(text) {
        Ok(()) => Ok(Exit::Done),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(Exit::Done),
        Err(error) => Err(Failure::new(Exit::Failed, format!("error: {error}"))),
    }
}
