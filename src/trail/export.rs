//! The trail as JSON lines, with all that it takes to verify it elsewhere.
//!
//! The first line says what follows; then comes one line for each record ever written, without its text where that was
//! pruned; then one for each of the trail's own checkpoints. Each line is written by RFC 8785, so that a byte that was
//! changed is another line.

use serde_json::{Map, Value, json};

use super::canonical;
use super::hex;
use super::note::{NoteError, VerifierKey};
use super::verify::{Check, Claims, Known, Proof};
use super::{TrailError, append::Tip};
use crate::store::Conn;
use crate::store::state::{self, StoredRecord, StoredRow};

/// The format's name, in the first line.
pub const FORMAT: &str = "retentiond-trail/1";
const PAGE: i64 = 1_000;

fn line(value: &Value) -> String {
    canonical::encode(value).unwrap_or_default() + "\n"
}

/// What the state says of its trail.
///
/// # Errors
/// When the state cannot be read.
pub fn claims(conn: &mut Conn) -> Result<Claims, TrailError> {
    let head = state::trail_head(conn)?;
    let tip = Tip::of(&head);
    let keys = state::trail_signers(conn)?;
    let keys = keys.iter().filter_map(|key| VerifierKey::new(&head.origin, &hex::hash(key)?)).collect();
    let segments = state::trail_segments(conn)?.into_iter();
    let segments = segments.map(|(first, key)| (unsigned(first), hex::decode(&key).unwrap_or_default())).collect();
    let checkpoints = state::checkpoints(conn)?.into_iter().map(|(_, note)| note).collect();
    Ok(Claims {
        origin: head.origin.clone(),
        size: unsigned(head.size),
        pruned: unsigned(head.pruned),
        // A head that does not fit together is not the tree of any leaves.
        tree: Some(tip.map(|tip| tip.frontier).unwrap_or_default()),
        keys,
        segments,
        checkpoints,
    })
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// Hands all rows of the state's trail out, in order.
///
/// # Errors
/// When the state cannot be read, or a row cannot be taken.
pub fn each_row(
    conn: &mut Conn,
    from: u64,
    mut take: impl FnMut(&StoredRow) -> Result<(), TrailError>,
) -> Result<u64, TrailError> {
    let (mut next, mut records) = (super::append::signed(from)?, 0);
    loop {
        let rows = state::trail_rows(conn, next, PAGE)?;
        for row in &rows {
            take(row)?;
            records += u64::from(row.record.is_some());
        }
        match rows.last() {
            Some(last) => next = last.seq + 1,
            None => return Ok(records),
        }
    }
}

/// Verifies the state's trail, in a transaction that sees one instant of it.
///
/// # Errors
/// When the state cannot be read, or a known checkpoint is none.
pub fn verify_state(conn: &mut Conn, known: &[Known]) -> Result<Result<Proof, (String, NoteError)>, TrailError> {
    conn.transaction(crate::store::Access::ReadOnly, |conn| {
        let mut check = match Check::begin(claims(conn)?, known) {
            Ok(check) => check,
            Err(wrong) => return Ok(Err(wrong)),
        };
        let seen = each_row(conn, 0, |row| {
            check.row(row);
            Ok(())
        })?;
        let records = unsigned(state::count_trail_records(conn)?);
        let mut proof = check.finish();
        if records != seen {
            proof.find(None, format!("{} records have no leaf", records.saturating_sub(seen)));
        }
        Ok(Ok(proof))
    })
}

/// Writes the state's trail, line by line.
///
/// # Errors
/// When the state cannot be read, or a line cannot be taken.
pub fn write(conn: &mut Conn, mut take: impl FnMut(&str) -> std::io::Result<()>) -> Result<(), TrailError> {
    let mut put = |text: &str| take(text).map_err(|error| TrailError::Export(error.to_string()));
    conn.transaction(crate::store::Access::ReadOnly, |conn| {
        let claims = claims(conn)?;
        put(&line(&header(&claims)))?;
        each_row(conn, 0, |row| put(&line(&of_row(row))))?;
        claims.checkpoints.iter().try_for_each(|note| put(&line(&json!({ "checkpoint": note }))))
    })
}

fn header(claims: &Claims) -> Value {
    let keys: Vec<String> = claims.keys.iter().map(ToString::to_string).collect();
    let segments: Vec<Value> =
        claims.segments.iter().map(|(first, key)| json!({ "first": first, "key": hex::encode(key) })).collect();
    json!({
        "format": FORMAT,
        "origin": claims.origin,
        "size": claims.size,
        "pruned": claims.pruned,
        "checkpoints": claims.checkpoints.len(),
        "keys": keys,
        "segments": segments,
    })
}

fn of_row(row: &StoredRow) -> Value {
    let mut value = Map::new();
    value.insert("seq".to_owned(), row.seq.into());
    value.insert("leaf".to_owned(), row.leaf.as_str().into());
    if let Some(record) = &row.record {
        value.insert("body".to_owned(), record.body.as_str().into());
    }
    Value::Object(value)
}

/// Verifies an export. `keys`: whose signatures count; those that the export names, where none are given.
///
/// # Errors
/// When a known checkpoint is none.
pub fn verify_text(text: &[u8], known: &[Known], keys: &[VerifierKey]) -> Result<Proof, (String, NoteError)> {
    let lines: Vec<Option<Value>> = text
        .split_inclusive(|byte| *byte == b'\n')
        .map(|line| canonical::decode(std::str::from_utf8(line).ok()?.strip_suffix('\n')?))
        .collect();
    let mut lines = lines.into_iter();
    let Some((mut claims, announced)) = lines.next().flatten().as_ref().and_then(read_header) else {
        let mut proof = Proof::default();
        proof.find(None, "the first line is not the one of an exported trail");
        return Ok(proof);
    };
    if !keys.is_empty() {
        claims.keys = keys.to_vec();
    }
    let (mut rows, mut wrong) = (Vec::new(), Vec::new());
    for (place, value) in lines.enumerate() {
        match value.as_ref().map(read_line) {
            Some(Some(Line::Row(row))) if claims.checkpoints.is_empty() => rows.push(row),
            Some(Some(Line::Checkpoint(note))) => claims.checkpoints.push(note),
            _ => wrong.push(place + 2),
        }
    }
    if claims.checkpoints.len() as u64 != announced {
        wrong.push(1);
    }
    let mut check = Check::begin(claims, known)?;
    rows.iter().for_each(|row| check.row(row));
    let mut proof = check.finish();
    for place in wrong {
        proof.find(None, format!("line {place} is not what an exported trail has there"));
    }
    Ok(proof)
}

fn read_header(value: &Value) -> Option<(Claims, u64)> {
    let value = value.as_object().filter(|value| value.len() == 7 && value["format"] == FORMAT)?;
    let number = |name: &str| value.get(name)?.as_u64();
    let keys = value.get("keys")?.as_array()?.iter().map(|key| VerifierKey::parse(key.as_str()?));
    let segment = |segment: &Value| {
        let segment = segment.as_object().filter(|segment| segment.len() == 2)?;
        Some((segment.get("first")?.as_u64()?, hex::hash(segment.get("key")?.as_str()?)?.to_vec()))
    };
    let claims = Claims {
        origin: value.get("origin")?.as_str()?.to_owned(),
        size: number("size")?,
        pruned: number("pruned")?,
        tree: None,
        keys: keys.collect::<Option<_>>()?,
        segments: value.get("segments")?.as_array()?.iter().map(segment).collect::<Option<_>>()?,
        checkpoints: Vec::new(),
    };
    Some((claims, number("checkpoints")?))
}

enum Line {
    Row(StoredRow),
    Checkpoint(String),
}

fn read_line(value: &Value) -> Option<Line> {
    let value = value.as_object()?;
    if let Some(note) = value.get("checkpoint") {
        return (value.len() == 1).then(|| note.as_str().map(|note| Line::Checkpoint(note.to_owned())))?;
    }
    let body = value.get("body").map(|body| body.as_str().map(str::to_owned));
    let body = match body {
        Some(body) => Some(body?),
        None => None,
    };
    if value.len() != 2 + usize::from(body.is_some()) {
        return None;
    }
    // An export has no columns beside the record; they are what the record says.
    let record = body.map(|body| {
        let said = canonical::decode(&body).unwrap_or_default();
        let text = |name: &str| said.get(name).and_then(Value::as_str).map(str::to_owned);
        StoredRecord { kind: text("type").unwrap_or_default(), job: text("job"), run: text("run"), body }
    });
    let seq = i64::try_from(value.get("seq")?.as_u64()?).ok()?;
    Some(Line::Row(StoredRow { seq, leaf: value.get("leaf")?.as_str()?.to_owned(), record }))
}
