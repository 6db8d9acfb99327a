//! Values of operators' columns, wrapped so that they cannot be formatted.
//!
//! [`Sealed`] implements neither `Debug` nor `Display` nor `Serialize`: a value that was read from a table can reach a
//! bound parameter, a file path or a comparison, but no log line, error text or metric label, because such code does not
//! compile. The few places that must open one say so with [`Sealed::expose`].
//!
//! Where somebody debugs, the file can permit values in diagnostic messages for a while (`personal_data_until`): messages
//! that may hold one have the target [`PERSONAL`], and whoever writes logs asks [`may_be_shown`] before each.

use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, Utc};

/// The target of diagnostic messages that may quote a value.
pub const PERSONAL: &str = "retentiond::personal";

/// Seconds since 1970 until which such messages may be shown; 0: never.
static SHOWN_UNTIL: AtomicI64 = AtomicI64::new(0);

/// Permits messages with the target [`PERSONAL`] until an instant, or takes the permission back.
pub fn show_until(instant: Option<DateTime<Utc>>) {
    SHOWN_UNTIL.store(instant.map_or(0, |instant| instant.timestamp()), Ordering::Relaxed);
}

/// Whether messages that may quote a value may be shown now.
pub fn may_be_shown(now: DateTime<Utc>) -> bool {
    now.timestamp() < SHOWN_UNTIL.load(Ordering::Relaxed)
}

/// One value that came from an operator's column.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sealed<T = String>(T);

impl<T> Sealed<T> {
    /// Seals a value.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// Opens the value for a bound parameter, a path or a comparison; never for a message.
    pub fn expose(&self) -> &T {
        &self.0
    }

    /// Opens the value, consuming the seal.
    pub fn into_exposed(self) -> T {
        self.0
    }
}
