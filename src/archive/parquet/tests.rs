//! Files in memory, written and read again: of any number of groups, encrypted, cut, and of other columns.

use std::io::{Cursor, Read as _, Seek as _, SeekFrom};
use std::iter::once;

use super::*;
use crate::archive::column::{Archived, Digits};
use crate::archive::reading::{Plain, Values};
use crate::redact::Sealed;

fn columns() -> Vec<Archived> {
    vec![
        Archived { number: true, ..Archived::of("id", "bigint") },
        Archived { bytes: Some(Digits::Upper), ..Archived::of("bytes", "blob") },
        Archived::of("na.me", "text"),
    ]
}

fn sealed(text: impl Into<String>) -> Option<Sealed> {
    Some(Sealed::new(text.into()))
}

/// Rows with NULL at different places in each column, empty texts, and one that no group would hold.
fn rows(count: usize) -> Vec<Values> {
    let text = |place: usize| match place {
        7 => sealed("x".repeat(GROUP_BYTES + 1)),
        _ if place.is_multiple_of(3) => None,
        _ if place.is_multiple_of(5) => sealed(""),
        _ => sealed(format!("Zoë {place} 客服")),
    };
    let bytes = |place: usize| (!place.is_multiple_of(4)).then(|| Sealed::new(format!("00FF{:06X}", place * 7)));
    (0..count).map(|place| vec![sealed((place as i64 - 40).to_string()), bytes(place), text(place)]).collect()
}

fn written<W: std::io::Write + Send>(out: W, rows: &[Values]) -> W {
    let columns = columns();
    let mut writer = Writer::begin(out, &columns).unwrap();
    for row in rows {
        writer.row(&columns, row).unwrap();
    }
    writer.finish().unwrap()
}

fn reads(source: Box<dyn Plain>, rows: &[Values]) {
    let columns = columns();
    let mut reader = Reader::open(source, &columns).unwrap();
    for (place, row) in rows.iter().enumerate() {
        assert!(reader.next_row(&columns).unwrap().as_ref() == Some(row), "row {place}");
    }
    assert!(reader.next_row(&columns).unwrap().is_none());
}

#[test]
fn what_is_written_is_read_whatever_the_number_of_groups() {
    for count in [0, 1, 6, 8, 1_024, 1_025, GROUP_ROWS, GROUP_ROWS + 20] {
        let rows = rows(count);
        let file = written(Vec::new(), &rows);
        reads(Box::new(Cursor::new(file)), &rows);
    }
}

/// The file is decrypted where it is read, and its parts are read in any order.
#[test]
fn an_encrypted_file_is_read_in_place() {
    let secret = age::x25519::Identity::generate();
    let rows = rows(GROUP_ROWS + 5_000);
    let recipient = secret.to_public();
    let encryptor = age::Encryptor::with_recipients(once(&recipient as &dyn age::Recipient)).unwrap();
    let sealed = written(encryptor.wrap_output(Vec::new()).unwrap(), &rows).finish().unwrap();
    assert!(sealed.len() > 5 * (64 << 10), "several pieces of age's: {}", sealed.len());
    let opened = || {
        let opened = age::Decryptor::new(Cursor::new(sealed.clone())).unwrap();
        opened.decrypt(once(&secret as &dyn age::Identity)).unwrap()
    };
    let mut magic = [0; 4];
    let mut plain = opened();
    plain.seek(SeekFrom::End(-4)).unwrap();
    plain.read_exact(&mut magic).unwrap();
    assert_eq!(&magic, b"PAR1");
    reads(Box::new(opened()), &rows);
}

/// A file that is not what its manifest says gives an error, not other rows.
#[test]
fn a_file_of_other_columns_or_a_part_of_one_is_refused() {
    let file = written(Vec::new(), &rows(100));
    let refused = |bytes: &[u8], columns: &[Archived]| {
        let opened = Reader::open(Box::new(Cursor::new(bytes.to_vec())), columns);
        opened.err().expect("it is none").to_string()
    };
    for (place, other) in [(0, Archived::of("id", "text")), (1, Archived::of("byte", "blob"))] {
        let mut columns = columns();
        columns[place] = other;
        assert!(refused(&file, &columns).contains("not the manifest's"));
    }
    assert!(refused(&file, &columns()[..2]).contains("not the manifest's"));
    for length in [0, 3, 11, file.len() / 2, file.len() - 1] {
        refused(&file[..length], &columns());
    }
}

#[test]
fn a_value_of_another_type_is_not_written() {
    let columns = columns();
    for row in [vec![sealed("1.5"), None, None], vec![None, sealed("0g"), None]] {
        let mut writer = Writer::begin(Vec::new(), &columns).unwrap();
        assert!(writer.row(&columns, &row).is_err());
    }
}
