//! The PDF: made by `retentiond-pdf`, a process of its own under a memory limit of its own, which gets the report as JSON.

use std::io::{Read as _, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::report::{Gathered, ReportError};

/// The program, beside this one.
const PROGRAM: &str = "retentiond-pdf";
/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// Writes the PDF.
pub(in crate::report) fn pdf(report: &Gathered, out: &mut dyn Write) -> Result<(), ReportError> {
    let program = program().ok_or_else(|| ReportError::NoPdf(not_installed()))?;
    let broken = |error: std::io::Error| ReportError::NoPdf(format!("{PROGRAM} cannot be run: {error}"));
    let mut command = Command::new(program);
    // It needs nothing of this process: no secret reaches it by its environment.
    command.env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(broken)?;
    let (Some(mut input), Some(mut output), Some(mut errors)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(broken(std::io::Error::other("it has no pipes")));
    };
    std::thread::scope(|scope| {
        let read = scope.spawn(move || {
            let mut pdf = Vec::new();
            output.read_to_end(&mut pdf).map(|_| pdf)
        });
        let said = scope.spawn(move || {
            let mut said = String::new();
            errors.read_to_string(&mut said).map(|_| said)
        });
        let written = scope.spawn(move || give(report, &mut input));
        let status = wait(&mut child).map_err(broken)?;
        let said = said.join().ok().and_then(Result::ok).unwrap_or_default();
        // A program that ends early does not read all; why, it has said itself.
        let written = written.join().unwrap_or_else(|_| Err(broken(std::io::Error::other("a thread failed"))));
        if !status.success() {
            let said = said.lines().next().unwrap_or("it was stopped: it needs more memory or time than it may have");
            return Err(ReportError::NoPdf(format!("{PROGRAM} made none: {said}")));
        }
        written?;
        let pdf = read.join().unwrap_or_else(|_| Err(std::io::Error::other("a thread failed")))?;
        out.write_all(&pdf)?;
        Ok(())
    })
}

/// Where the program is that makes PDFs, if it is installed: beside this one.
pub fn program() -> Option<PathBuf> {
    let beside = std::env::current_exe().ok()?.with_file_name(PROGRAM);
    beside.is_file().then_some(beside)
}

/// What is said where the program is missing.
pub fn not_installed() -> String {
    format!("the program {PROGRAM} is not installed beside retentiond")
}

/// Gives it a line with the words of the language, and the report.
fn give(report: &Gathered, input: &mut dyn Write) -> Result<(), ReportError> {
    serde_json::to_writer(&mut *input, report.texts.words()).map_err(std::io::Error::from)?;
    input.write_all(b"\n")?;
    super::json(report, Some(report.max_rows_in_pdf), input)
}

fn wait(child: &mut Child) -> std::io::Result<std::process::ExitStatus> {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if Instant::now() >= until {
            child.kill()?;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
