//! Two columns that are equal, whatever their types.

use super::expr::{Operand, separate};
use crate::store::catalog::{Column, TypeClass};
use crate::store::{Backend, Stmt};

/// Two columns of different types (a text reference to a numeric key) are compared as text, so that a value that is no
/// number fails no statement and matches nothing.
pub(super) fn write(stmt: &mut Stmt, backend: Backend, left: &Operand, right: &Operand) {
    if comparable(&left.column, &right.column) {
        left.write(stmt);
        stmt.sql(" = ");
        right.write(stmt);
        return;
    }
    for (index, operand) in [left, right].into_iter().enumerate() {
        separate(stmt, index, " = ");
        stmt.sql("CAST(");
        operand.write(stmt);
        stmt.sql(match backend {
            Backend::Postgres | Backend::Sqlite => " AS TEXT)",
            Backend::Mysql => " AS CHAR)",
        });
    }
}

pub(super) fn comparable(left: &Column, right: &Column) -> bool {
    fn family(class: &TypeClass) -> u8 {
        match class {
            TypeClass::Integer { .. } | TypeClass::Decimal | TypeClass::Real => 1,
            TypeClass::Text => 2,
            TypeClass::Boolean => 3,
            TypeClass::Bytes => 4,
            TypeClass::Uuid => 5,
            TypeClass::Date | TypeClass::TimestampNaive | TypeClass::TimestampZoned => 6,
            TypeClass::Time => 7,
            TypeClass::Json => 8,
            TypeClass::Inet => 9,
            TypeClass::Enum => 10,
            TypeClass::Other => 11,
        }
    }
    left.declared == right.declared || family(&left.class) == family(&right.class)
}
