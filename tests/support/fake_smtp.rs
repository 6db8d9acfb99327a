//! A mail server that does what a test says: any answer at any point, or none. It speaks TLS from the first byte, with a
//! certificate for `localhost`, and writes down what it took.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tempfile::TempDir;

use super::mail_server::certificates;

/// Where in the dialogue something is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum At {
    /// Instead of TLS.
    Connection,
    /// Instead of the greeting.
    Greeting,
    /// After EHLO.
    Ehlo,
    /// After MAIL FROM.
    Mail,
    /// After RCPT TO.
    Rcpt,
    /// After DATA.
    Data,
    /// After the first bytes of the text.
    Text,
    /// After the final dot.
    Dot,
}

impl At {
    pub const ALL: [Self; 8] =
        [Self::Connection, Self::Greeting, Self::Ehlo, Self::Mail, Self::Rcpt, Self::Data, Self::Text, Self::Dot];
}

/// What is done there.
#[derive(Clone, Debug)]
pub enum Do {
    /// This is answered, and the dialogue goes on.
    Say(String),
    /// The connection breaks; at the dot `true` means that the message was taken before.
    Cut(bool),
    /// Half an answer, then the connection breaks.
    Half(bool),
    /// A process is killed; at the dot `true` means that the message was taken before.
    Kill(bool),
}

/// A message that was taken.
#[derive(Clone, Debug)]
pub struct Taken {
    /// Its Message-ID.
    pub id: String,
    /// The commands before it, as they came.
    pub commands: Vec<String>,
    /// The message as it was on the wire, its dots still doubled.
    pub wire: Vec<u8>,
}

#[derive(Default)]
struct Book {
    script: Option<(At, Do)>,
    once: bool,
    open: Vec<TcpStream>,
    victim: Option<u32>,
    taken: Vec<Taken>,
    commands: Vec<String>,
    connections: usize,
}

/// The server.
pub struct FakeSmtp {
    dir: TempDir,
    book: Arc<Mutex<Book>>,
    pub port: u16,
}

impl FakeSmtp {
    pub fn start() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        certificates(dir.path());
        let chain = CertificateDer::from_pem_file(dir.path().join("server.pem")).expect("a certificate");
        let key = PrivateKeyDer::from_pem_file(dir.path().join("server.key")).expect("a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|config| config.with_no_client_auth().with_single_cert(vec![chain], key))
            .expect("a server's configuration");
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let book = Arc::new(Mutex::new(Book::default()));
        let shared = Arc::clone(&book);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (config, book) = (Arc::clone(&config), Arc::clone(&shared));
                std::thread::spawn(move || {
                    let own = stream.try_clone();
                    drop(serve(stream, config, &book));
                    // The book has one too, so dropping it would not be the connection's end.
                    drop(own.map(|own| own.shutdown(std::net::Shutdown::Both)));
                });
            }
        });
        Self { dir, book, port }
    }

    /// What `[mail] smtp` says.
    pub fn url(&self) -> String {
        format!("smtps://localhost:{}", self.port)
    }

    /// The certificate authority.
    pub fn ca(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// From now on this is done, whoever connects; `None`: everything is taken.
    pub fn script(&self, script: Option<(At, Do)>) {
        self.book.lock().unwrap().script = script;
    }

    /// The first time only.
    pub fn script_once(&self, at: At, what: Do) {
        let mut book = self.book.lock().unwrap();
        (book.script, book.once) = (Some((at, what)), true);
    }

    /// Closes every connection.
    pub fn hang_up(&self) {
        for stream in self.book.lock().unwrap().open.drain(..) {
            drop(stream.shutdown(std::net::Shutdown::Both));
        }
    }

    /// The process that [`Do::Kill`] kills.
    pub fn victim(&self, pid: u32) {
        self.book.lock().unwrap().victim = Some(pid);
    }

    pub fn taken(&self) -> Vec<Taken> {
        self.book.lock().unwrap().taken.clone()
    }

    /// Every command that came, in all connections.
    pub fn commands(&self) -> Vec<String> {
        self.book.lock().unwrap().commands.clone()
    }

    pub fn connections(&self) -> usize {
        self.book.lock().unwrap().connections
    }
}

type Wire = BufReader<StreamOwned<ServerConnection, TcpStream>>;

/// The connection is over.
struct End;

impl<E: std::error::Error> From<E> for End {
    fn from(_: E) -> Self {
        Self
    }
}

/// Answers at a point: as the script says, or as usual.
fn answer(wire: &mut Wire, book: &Mutex<Book>, at: At, usual: &str) -> Result<String, End> {
    let script = {
        let mut book = book.lock().unwrap();
        let script = book.script.clone().filter(|(place, _)| *place == at);
        if script.is_some() && std::mem::take(&mut book.once) {
            book.script = None;
        }
        script
    };
    let text = match script.map(|(_, what)| what) {
        None => usual.to_owned(),
        Some(Do::Say(text)) => text,
        Some(Do::Cut(_)) => return Err(End),
        Some(Do::Half(_)) => {
            wire.get_mut().write_all(b"25")?;
            wire.get_mut().flush()?;
            return Err(End);
        }
        Some(Do::Kill(_)) => {
            kill(book);
            return Err(End);
        }
    };
    wire.get_mut().write_all(format!("{text}\r\n").as_bytes())?;
    wire.get_mut().flush()?;
    Ok(text)
}

fn kill(book: &Mutex<Book>) {
    let victim = book.lock().unwrap().victim.take();
    if let Some(pid) = victim.and_then(|pid| rustix::process::Pid::from_raw(pid.cast_signed())) {
        let _gone = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
}

fn line(wire: &mut Wire, book: &Mutex<Book>) -> Result<String, End> {
    let mut line = Vec::new();
    if wire.read_until(b'\n', &mut line)? == 0 {
        return Err(End);
    }
    let line = String::from_utf8_lossy(&line).into_owned();
    book.lock().unwrap().commands.push(line.clone());
    Ok(line)
}

fn serve(stream: TcpStream, config: Arc<ServerConfig>, book: &Mutex<Book>) -> Result<(), End> {
    {
        let mut book = book.lock().unwrap();
        book.connections += 1;
        book.open.extend(stream.try_clone());
    }
    let script = book.lock().unwrap().script.clone();
    if let Some((At::Connection, what)) = &script {
        if matches!(what, Do::Kill(_)) {
            kill(book);
        }
        return Ok(());
    }
    let mut wire = BufReader::new(StreamOwned::new(ServerConnection::new(config)?, stream));
    if !answer(&mut wire, book, At::Greeting, "220 localhost")?.starts_with('2') {
        return Ok(());
    }
    let mut commands: Vec<String> = Vec::new();
    loop {
        let said = line(&mut wire, book)?;
        commands.push(said.clone());
        let verb = said.trim_end().to_ascii_uppercase();
        let at = match verb.split([' ', ':']).next().unwrap_or_default() {
            "EHLO" => {
                answer(&mut wire, book, At::Ehlo, "250 localhost")?;
                continue;
            }
            "MAIL" => At::Mail,
            "RCPT" => At::Rcpt,
            "DATA" => At::Data,
            "QUIT" => {
                wire.get_mut().write_all(b"221 bye\r\n")?;
                return Ok(wire.get_mut().flush()?);
            }
            _ => {
                wire.get_mut().write_all(b"250 ok\r\n")?;
                wire.get_mut().flush()?;
                continue;
            }
        };
        let usual = if at == At::Data { "354 go on" } else { "250 ok" };
        // A client that goes on after another answer talks to a server that reads its text as commands.
        if answer(&mut wire, book, at, usual)?.starts_with("354") && at == At::Data {
            text(&mut wire, book, &mut commands)?;
        }
    }
}

/// The text, up to the final dot.
fn text(wire: &mut Wire, book: &Mutex<Book>, commands: &mut Vec<String>) -> Result<(), End> {
    let script = book.lock().unwrap().script.clone();
    if let Some((At::Text, what)) = &script {
        let mut some = [0; 16];
        wire.read_exact(&mut some)?;
        match what {
            Do::Say(text) => {
                wire.get_mut().write_all(format!("{text}\r\n").as_bytes())?;
                wire.get_mut().flush()?;
            }
            Do::Kill(_) => kill(book),
            Do::Cut(_) | Do::Half(_) => {}
        }
        return Err(End);
    }
    let mut whole = Vec::new();
    loop {
        let begin = whole.len();
        if wire.read_until(b'\n', &mut whole)? == 0 {
            return Err(End);
        }
        if &whole[begin..] == b".\r\n" {
            whole.truncate(begin);
            break;
        }
    }
    let dot = script.filter(|(at, _)| *at == At::Dot).map(|(_, what)| what);
    let takes = match &dot {
        None => true,
        Some(Do::Say(text)) => text.starts_with('2'),
        Some(Do::Cut(taken) | Do::Half(taken) | Do::Kill(taken)) => *taken,
    };
    if takes {
        let text = String::from_utf8_lossy(&whole).into_owned();
        let id = text.lines().find_map(|line| line.strip_prefix("Message-ID: ")).unwrap_or("none").trim().to_owned();
        let taken = Taken { id, commands: std::mem::take(commands), wire: whole };
        book.lock().unwrap().taken.push(taken);
    }
    answer(wire, book, At::Dot, "250 taken").map(drop)
}
