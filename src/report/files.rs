//! A report as files in a folder.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::{Format, Gathered, ReportError};
use crate::files::Pending;

/// One file that was written.
#[derive(Clone, Debug)]
pub struct File {
    /// In which format.
    pub format: Format,
    /// Its name: nothing of it is the person's.
    pub name: String,
    /// Where it lies.
    pub path: PathBuf,
    /// Its media type.
    pub media_type: &'static str,
    /// How long it is.
    pub bytes: u64,
}

/// What became of the formats that were wanted.
#[derive(Clone, Debug, Default)]
pub struct Files {
    /// What was written.
    pub written: Vec<File>,
    /// The formats that there are not, and why.
    pub missing: Vec<(Format, String)>,
}

impl Gathered {
    /// Writes the formats into a folder that is there. Each file is new and readable by its owner alone, and all of them
    /// have their names only when all are whole; one that is there already is not touched, and an error.
    ///
    /// # Errors
    /// When a file cannot be written; then there is none. A PDF that cannot be made is an error where nothing else was
    /// wanted.
    pub fn files(&self, formats: &[Format], folder: &Path) -> Result<Files, ReportError> {
        let mut files = Writing { folder, written: Vec::new() };
        let mut missing = Vec::new();
        for format in Format::ALL.into_iter().filter(|format| formats.contains(format)) {
            match format {
                Format::Json => {
                    files.add(format, "report.json", "application/json", |out| self.write_json(out))?;
                }
                Format::Html => {
                    files.add(format, "report.html", "text/html; charset=utf-8", |out| self.write_html(out))?;
                }
                Format::Csv => {
                    // No category is named so.
                    let summary = |out: &mut std::fs::File| super::write::summary(self, out);
                    files.add(format, "0-summary.csv", "text/csv; charset=utf-8", summary)?;
                    for part in self.parts.iter().filter(|part| part.about.rows > 0) {
                        let name = format!("{}.csv", part.about.name);
                        files.add(format, &name, "text/csv; charset=utf-8", |out| {
                            self.write_csv(&part.about.name, out)
                        })?;
                    }
                }
                Format::Pdf => {
                    let mut pdf = Vec::new();
                    match self.write_pdf(&mut pdf) {
                        Ok(()) => files.add(format, "report.pdf", "application/pdf", |out| Ok(out.write_all(&pdf)?))?,
                        // Whoever gets the report reads why; other reasons are for whoever runs the program.
                        Err(ReportError::NoPdf(why)) if why == super::pdf_not_installed() => {
                            missing.push((format, self.texts.get("no_pdf_program").to_owned()));
                        }
                        Err(ReportError::NoPdf(why)) => missing.push((format, why)),
                        Err(error) => return Err(error),
                    }
                }
            }
        }
        // An empty folder, or a mail without a report, is no answer.
        if let (true, Some((_, why))) = (files.written.is_empty(), missing.first()) {
            return Err(ReportError::NoPdf(why.clone()));
        }
        Ok(Files { written: files.finish()?, missing })
    }
}

/// Files that have no names yet.
struct Writing<'a> {
    folder: &'a Path,
    written: Vec<(Pending, File)>,
}

impl Writing<'_> {
    fn add(
        &mut self,
        format: Format,
        name: &str,
        media_type: &'static str,
        write: impl FnOnce(&mut std::fs::File) -> Result<(), ReportError>,
    ) -> Result<(), ReportError> {
        let path = self.folder.join(name);
        let mut pending = Pending::begin(&path).map_err(|error| named(&path, &error))?;
        write(pending.file()).map_err(|error| match error {
            ReportError::Write(error) => named(&path, &error),
            other => other,
        })?;
        pending.file().flush().map_err(|error| named(&path, &error))?;
        let bytes = pending.file().metadata().map_err(|error| named(&path, &error))?.len();
        self.written.push((pending, File { format, name: name.to_owned(), path, media_type, bytes }));
        Ok(())
    }

    fn finish(self) -> Result<Vec<File>, ReportError> {
        let (pending, files) = self.written.into_iter().unzip();
        Pending::finish(pending).map_err(|(path, error)| named(&path, &error))?;
        Ok(files)
    }
}

fn named(path: &Path, error: &std::io::Error) -> ReportError {
    ReportError::Write(std::io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}
