//! `examples/verify_trail.py`, asked about many trails by one process.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Reads trails, checkpoints and keys, each with its length before it, and answers with a code a line.
const LOOP: &str = "
import functools, sys, struct, verify_trail
verify_trail.signed_by = functools.lru_cache(maxsize=100000)(verify_trail.signed_by)
read = sys.stdin.buffer.read
while head := read(12):
    size, notes, keys = struct.unpack('>III', head)
    data = read(size)
    known = [read(struct.unpack('>I', read(4))[0]) for _ in range(notes)]
    keys = [read(struct.unpack('>I', read(4))[0]).decode() for _ in range(keys)]
    code, found = verify_trail.verify(data, known, keys)
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
    pub fn verify(&mut self, export: &[u8], known: &[&[u8]]) -> (i32, String) {
        self.verify_by(export, known, &[])
    }

    /// The same, when only these keys' signatures count.
    pub fn verify_by(&mut self, export: &[u8], known: &[&[u8]], keys: &[String]) -> (i32, String) {
        let length = |text: usize| u32::try_from(text).unwrap().to_be_bytes();
        self.input.write_all(&[length(export.len()), length(known.len()), length(keys.len())].concat()).unwrap();
        self.input.write_all(export).unwrap();
        for part in known.iter().copied().chain(keys.iter().map(String::as_bytes)) {
            self.input.write_all(&[&length(part.len()), part].concat()).unwrap();
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
