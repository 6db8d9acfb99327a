//! What conditions compare columns with, and how.

use crate::redact::Sealed;
use crate::store::catalog::Column;
use crate::store::{Backend, Stmt, dialect};

/// How two values compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// `=`
    Equal,
    /// `<`
    Below,
    /// `<=`
    AtMost,
    /// `>`
    Above,
    /// `>=`
    AtLeast,
}

impl Op {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Equal => " = ",
            Self::Below => " < ",
            Self::AtMost => " <= ",
            Self::Above => " > ",
            Self::AtLeast => " >= ",
        }
    }
}

/// A value to compare with, as text that the column's type understands.
#[derive(Clone)]
pub enum Scalar {
    /// From the policy: shown by `plan --verbose`.
    Policy(String),
    /// From a row: never shown.
    Row(Sealed),
}

/// Writes a value of a column's type.
pub(super) fn write_scalar(stmt: &mut Stmt, backend: Backend, column: &Column, value: &Scalar) {
    match value {
        Scalar::Policy(text) => dialect::bind_policy(stmt, column, backend, text),
        Scalar::Row(sealed) => dialect::bind_as(stmt, column, backend, sealed.expose()),
    }
}

/// The same for a comparison with the column itself.
pub(super) fn write_beside(stmt: &mut Stmt, backend: Backend, column: &Column, value: &Scalar) {
    match value {
        Scalar::Policy(text) => dialect::bind_beside(stmt, column, backend, text, true),
        Scalar::Row(sealed) => dialect::bind_beside(stmt, column, backend, sealed.expose(), false),
    }
}
