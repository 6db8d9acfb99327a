//! GnuPG with keys of its own: what a data protection officer opens mails with.

#![allow(dead_code, reason = "each test file uses its part")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

pub struct Gpg {
    dir: TempDir,
}

impl Gpg {
    pub fn new() -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        let gpg = Self { dir };
        gpg.generate("dpo@example.org", "future-default", "never", None);
        gpg
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn run(&self, args: &[&str], input: &[u8]) -> Vec<u8> {
        let mut command = Command::new("gpg");
        command.args(["--batch", "--no-tty", "--pinentry-mode", "loopback", "--passphrase", "", "--homedir"]);
        command.arg(self.dir.path()).args(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        let writer = std::thread::spawn(move || stdin.write_all(&input));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap().unwrap();
        assert!(output.status.success(), "gpg {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    fn generate(&self, address: &str, algorithm: &str, expires: &str, at: Option<&str>) {
        let faked = at.map(|at| format!("--faked-system-time={at}"));
        let mut args: Vec<&str> = faked.as_deref().into_iter().collect();
        let usage = if algorithm == "future-default" { "default" } else { "sign" };
        args.extend(["--quick-gen-key", address, algorithm, usage, expires]);
        self.run(&args, b"");
    }

    fn export(&self, address: &str) -> PathBuf {
        let path = self.path(&format!("{address}.asc"));
        std::fs::write(&path, self.run(&["--armor", "--export", address], b"")).unwrap();
        path
    }

    /// The key that is meant.
    pub fn public(&self) -> PathBuf {
        self.export("dpo@example.org")
    }

    pub fn expired(&self) -> PathBuf {
        self.generate("expired@example.org", "future-default", "1y", Some("20200101T000000!"));
        self.export("expired@example.org")
    }

    pub fn signing_only(&self) -> PathBuf {
        self.generate("signs@example.org", "ed25519", "never", None);
        self.export("signs@example.org")
    }

    pub fn revoked(&self) -> PathBuf {
        self.generate("revoked@example.org", "future-default", "never", None);
        let listed = self.run(&["--with-colons", "--list-keys", "revoked@example.org"], b"");
        let listed = String::from_utf8(listed).unwrap();
        let print = listed.lines().find(|line| line.starts_with("fpr")).unwrap().split(':').nth(9).unwrap();
        let file = self.path(&format!("openpgp-revocs.d/{print}.rev"));
        // GnuPG guards the certificate against being used by mistake.
        let text = std::fs::read_to_string(file).unwrap().replace(":-----BEGIN", "-----BEGIN");
        self.run(&["--import"], text.as_bytes());
        self.export("revoked@example.org")
    }

    pub fn nonsense(&self) -> PathBuf {
        let path = self.path("nonsense.asc");
        std::fs::write(
            &path,
            "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nbm9uc2Vuc2U=\n-----END PGP PUBLIC KEY BLOCK-----\n",
        )
        .unwrap();
        path
    }

    /// What an OpenPGP message says.
    pub fn open(&self, message: &[u8]) -> Vec<u8> {
        self.run(&["--decrypt"], message)
    }

    /// What an OpenPGP/MIME mail says: its second part, decrypted.
    pub fn decrypt(&self, mail: &[u8]) -> Vec<u8> {
        let text = String::from_utf8(mail.to_vec()).unwrap();
        let begin = text.find("-----BEGIN PGP MESSAGE-----").unwrap();
        let end = text.find("-----END PGP MESSAGE-----").unwrap();
        self.open(&text.as_bytes()[begin..end + "-----END PGP MESSAGE-----\r\n".len()])
    }
}

impl Drop for Gpg {
    fn drop(&mut self) {
        // The agent that gpg started for this folder.
        let home: &Path = self.dir.path();
        drop(Command::new("gpgconf").arg("--homedir").arg(home).args(["--kill", "all"]).output());
    }
}
