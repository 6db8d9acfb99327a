//! A folder with a jobs.toml, and the binary run in it as a person or systemd would run it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// What a command said and how it ended.
#[derive(Debug)]
pub struct Output {
    /// The exit code; `None` where a signal ended it.
    pub code: Option<i32>,
    /// Standard output: results alone.
    pub stdout: String,
    /// Standard error: everything else.
    pub stderr: String,
    /// How long it ran.
    pub took: Duration,
}

impl Output {
    /// Standard output as JSON; the test fails where it is anything else.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("standard output is not JSON ({e}): {self:#?}"))
    }

    /// Fails the test unless the command ended with `code`; gives itself back to go on with.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "the command ended otherwise: {self:#?}");
        self
    }
}

/// A temporary folder with a `jobs.toml`, gone when this is dropped.
pub struct Project {
    dir: TempDir,
    environment: Vec<(String, String)>,
}

impl Project {
    /// A folder whose `jobs.toml` holds `jobs`. The word `{dir}` in it becomes the folder's own path.
    ///
    /// The commands run in a zone and a language that nobody expects, so that whoever relies on them is found out.
    pub fn new(jobs: &str) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let environment = [("TZ", "Pacific/Kiritimati"), ("LANG", "tr_TR.UTF-8"), ("NO_COLOR", "1")];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let project = Self { dir, environment };
        project.write_jobs(jobs);
        project
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file into the folder, with its parents, and gives its path.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a file has a parent")).expect("a folder");
        std::fs::write(&path, content).expect("a file");
        path
    }

    /// Replaces `jobs.toml`; `{dir}` becomes the folder's own path.
    pub fn write_jobs(&self, jobs: &str) {
        self.write("jobs.toml", jobs.replace("{dir}", &self.dir().display().to_string()));
    }

    /// Sets a variable for all commands that follow.
    pub fn env(&mut self, name: &str, value: &str) -> &mut Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The command, ready to be changed and started: in the folder, with its jobs.toml, without standard input.
    pub fn command(&self, args: &[&str]) -> Command {
        self.command_of(env!("CARGO_BIN_EXE_retentiond").as_ref(), args)
    }

    /// Runs the command from a folder in which no other program is.
    pub fn run_alone(&self, args: &[&str]) -> Output {
        let program = self.path("alone/retentiond");
        if !program.exists() {
            std::fs::create_dir(self.path("alone")).unwrap();
            let built = env!("CARGO_BIN_EXE_retentiond");
            std::fs::hard_link(built, &program).or_else(|_| std::fs::copy(built, &program).map(drop)).unwrap();
        }
        let started = Instant::now();
        finish(started, self.command_of(&program, args).spawn().expect("the binary under test starts"))
    }

    fn command_of(&self, program: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(args).current_dir(self.dir());
        // Nothing of the developer's own surroundings reaches the program but what it needs to start.
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", self.dir());
        command.env("RETENTIOND_CONFIG", self.path("jobs.toml"));
        // What an installation keeps on its machine, and mails that go nowhere else.
        command.env("STATE_DIRECTORY", self.dir());
        command.env("RETENTIOND_SMTP_URL", format!("file:{}", self.path("mail").display()));
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs the command to its end.
    pub fn run(&self, args: &[&str]) -> Output {
        let started = Instant::now();
        finish(started, self.spawn(args))
    }

    /// Starts the command and leaves it running; [`finish`] or [`signal`] deal with it.
    pub fn spawn(&self, args: &[&str]) -> Child {
        self.command(args).spawn().expect("the binary under test starts")
    }

    /// Runs the command and kills it (SIGKILL) after so many milliseconds. If it has ended by then, `code` tells.
    pub fn kill_after(&self, args: &[&str], milliseconds: u64) -> Output {
        self.signal_after(args, milliseconds, rustix::process::Signal::KILL)
    }

    /// Runs the command, sends it a signal after so many milliseconds and waits for its end.
    pub fn signal_after(&self, args: &[&str], milliseconds: u64, kind: rustix::process::Signal) -> Output {
        let started = Instant::now();
        let mut child = self.spawn(args);
        let until = started + Duration::from_millis(milliseconds);
        while Instant::now() < until && child.try_wait().expect("the child is ours").is_none() {
            std::thread::sleep((until - Instant::now()).min(Duration::from_millis(2)));
        }
        signal(&mut child, kind);
        finish(started, child)
    }
}

/// Sends a signal, unless the command has ended by itself.
pub fn signal(child: &mut Child, kind: rustix::process::Signal) {
    if child.try_wait().expect("the child is ours").is_none() {
        // Until somebody waits for it, the number stays the child's own, even if it ends just now.
        rustix::process::kill_process(rustix::process::Pid::from_child(child), kind).expect("a signal to our child");
    }
}

/// Waits for the end of a command that was started at `started`.
pub fn finish(started: Instant, child: Child) -> Output {
    let output = child.wait_with_output().expect("the binary under test ends");
    Output {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        took: started.elapsed(),
    }
}
