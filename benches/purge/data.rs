//! A contact centre's rows, the same for the same size: contacts, five events each, 0.4 recordings each.
//!
//! Times span 730 days from 2024-01-01 in UTC; half of the rows are older than 2025-01-01. The rows are those of the
//! kit that the goals were measured with, so its counts hold here: of 1 M events 501 366 are older than the middle.

use std::io::{BufWriter, Write};
use std::process::{Command, Stdio};

use chrono::{Days, NaiveDate};

use crate::server::client;

const SEED: u64 = 42;
const SPAN: u64 = 730 * 86_400;
const CHANNELS: [&str; 4] = ["voice", "email", "chat", "sms"];
const EVENTS: [&str; 5] = ["queued", "offered", "answered", "hold", "wrapup"];
const SUBJECTS: [&str; 6] = [
    "Invoice question",
    "Delivery delayed",
    "Contract change",
    "Complaint about agent",
    "Password reset",
    "Callback wanted",
];

/// The three tables, parents first.
pub const TABLES: [&str; 3] = ["contacts", "recordings", "contact_events"];

/// Rows by the number of their events.
pub struct Rows {
    contacts: u64,
    days: Vec<String>,
}

impl Rows {
    /// A centre with so many events.
    pub fn of(events: u64) -> Self {
        let first = NaiveDate::from_ymd_opt(2024, 1, 1).expect("a date");
        let days = (0..732).map(|day| (first + Days::new(day)).to_string()).collect();
        Self { contacts: events / 5, days }
    }

    /// Loads a table through the database's own client: a line a row, tabs between columns.
    pub fn load(&self, url: &str, table: &str) {
        let mut command = loading(url, table);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("the client starts");
        let mut out = BufWriter::with_capacity(1 << 20, child.stdin.take().expect("stdin is piped"));
        match table {
            "contacts" => self.contacts(&mut out),
            "recordings" => self.recordings(&mut out),
            _ => self.events(&mut out),
        }
        .expect("the client takes all rows");
        drop(out);
        assert!(child.wait().expect("the client ends").success(), "{url}: {table} was not loaded");
    }

    fn at(&self, second: u64) -> String {
        let (day, second) = (second / 86_400, second % 86_400);
        let (hour, minute) = (second / 3600, second / 60 % 60);
        format!("{} {hour:02}:{minute:02}:{:02}", self.days[usize::try_from(day).expect("small")], second % 60)
    }

    fn start(&self, contact: u64, random: u64) -> u64 {
        (contact * SPAN / self.contacts + random % 7200).saturating_sub(3600).min(SPAN - 1)
    }

    /// User 2 has 10 000 contacts, user 1 has 100, the others share the rest.
    fn user(&self, contact: u64, random: u64) -> u64 {
        match contact {
            c if c.is_multiple_of(self.contacts / 10_000) => 2,
            c if c % (self.contacts / 100) == 1 => 1,
            _ => 3 + random % 1998,
        }
    }

    fn contacts(&self, out: &mut impl Write) -> std::io::Result<()> {
        for i in 1..=self.contacts {
            let (r, r2) = (random(i, 1), random(i, 2));
            let start = self.start(i, r);
            writeln!(
                out,
                "{i}\t{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}\t{}\t{}\t{}\t{}\t{}\t+4930{:08}\tcust{}@example.org\t\
                 10.{}.{}.{}\t{} #{}",
                r & 0xffff_ffff,
                r >> 32 & 0xffff,
                r >> 48 & 0xfff,
                r2 & 0xfff,
                r2 >> 12 & 0xffff_ffff_ffff,
                r % 200 + 1,
                self.user(i, r2),
                CHANNELS[(r >> 8 & 3) as usize],
                self.at(start),
                self.at((start + r2 % 1800).min(SPAN - 1)),
                r2 % 100_000_000,
                r2 % 500_000,
                r & 255,
                r >> 8 & 255,
                r >> 16 & 255,
                SUBJECTS[(r % 6) as usize],
                r2 % 99_999
            )?;
        }
        Ok(())
    }

    fn recordings(&self, out: &mut impl Write) -> std::io::Result<()> {
        let mut n = 0;
        for i in (1..=self.contacts).filter(|i| i * 2 % 5 < 2) {
            let (r, r2) = (random(i, 1), random(i, 2));
            let start = self.start(i, r);
            n += 1;
            writeln!(
                out,
                "{n}\t{i}\t{}\t{}\t/srv/rec/{}/{:02x}/{i}-{:08x}.wav\t{}\t{}",
                self.user(i, r2),
                self.at(start),
                &self.at(start)[..10],
                r & 255,
                r2 & 0xffff_ffff,
                r2 % 9_000_000,
                r2 % 1800
            )?;
        }
        Ok(())
    }

    fn events(&self, out: &mut impl Write) -> std::io::Result<()> {
        for i in 1..=self.contacts {
            let r = random(i, 1);
            let start = self.start(i, r);
            for k in 0..5 {
                let q = r >> (k * 3) & 1023;
                writeln!(
                    out,
                    "{}\t{i}\t{}\t{}\t{q}\tleg={k};q={q};skill=de;note=auto generated event text",
                    (i - 1) * 5 + k + 1,
                    self.at((start + k * 60 + q % 60).min(SPAN - 1)),
                    EVENTS[k as usize]
                )?;
            }
        }
        Ok(())
    }
}

/// A number that follows from a row's number, and looks like chance (splitmix64).
fn random(x: u64, stream: u64) -> u64 {
    let mut z = x.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add((stream + SEED).wrapping_mul(0xBF58_476D_1CE4_E5B9));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn loading(url: &str, table: &str) -> Command {
    let mut command = client(url);
    if url.starts_with("sqlite:") {
        command.args(["-cmd", ".mode tabs", &format!(".import /dev/stdin {table}")]);
    } else if url.starts_with("mysql:") {
        let load = format!("LOAD DATA LOCAL INFILE '/dev/stdin' INTO TABLE {table}");
        command.args(["--local-infile=1", "-e", &format!("SET foreign_key_checks=0, unique_checks=0; {load}")]);
    } else {
        command.args(["-c", &format!("COPY {table} FROM STDIN")]);
    }
    command
}
