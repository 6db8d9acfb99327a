//! `examples/verify_trail.py`, asked about many trails by one process.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Reads trails and checkpoints, each with its length before it, and answers with a code a line.
const LOOP: &str = "
import sys, struct, verify_trail
read = sys.stdin.buffer.read
while head := read(8):
    size, notes = struct.unpack('>II', head)
    data = read(size)
    known = [read(struct.unpack('>I', read(4))[0]).decode() for _ in range(notes)]
    code, found = verify_trail.verify(data, known)
    print(code, found, flush=True)
";

pub struct Python {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Python {
    pub fn start() -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
        let mut child = Command::new("python3")
            .args(["-B", "-c", LOOP])
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("`python3` does not start ({error}): run `make deps`"));
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, input, output }
    }

    /// The exit code that the verifier would end with, and what it says.
    pub fn verify(&mut self, export: &[u8], known: &[&str]) -> (i32, String) {
        let length = |text: usize| u32::try_from(text).unwrap().to_be_bytes();
        self.input.write_all(&[length(export.len()), length(known.len())].concat()).unwrap();
        self.input.write_all(export).unwrap();
        for note in known {
            self.input.write_all(&[&length(note.len()), note.as_bytes()].concat()).unwrap();
        }
        self.input.flush().unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        let (code, found) = line.split_once(' ').unwrap_or_else(|| panic!("the Python verifier died: {line:?}"));
        (code.parse().unwrap(), found.trim().to_owned())
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
