//! Values of operators' columns, wrapped so that they cannot be formatted.
//!
//! [`Sealed`] implements neither `Debug` nor `Display` nor `Serialize`: a value that was read from a table can reach a
//! bound parameter, a file path or a comparison, but no log line, error text or metric label, because such code does not
//! compile. The few places that must open one say so with [`Sealed::expose`].

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
