//! What is read along with each row: a column of another row, or which of some conditions hold.

use super::expr::{Expr, Operand, TableRef, alias};
use crate::store::catalog::Column;
use crate::store::dialect;
use crate::store::{Backend, Form, Stmt};

/// A value read along with a row: of the row itself, or of a parent.
pub enum Lookup {
    /// A column of the row.
    Own(Operand),
    /// A column of a parent, by a sub-select.
    Parent {
        /// The parent's table.
        table: TableRef,
        /// Its alias.
        alias: u8,
        /// The column.
        operand: Operand,
        /// How the parent is found.
        condition: Box<Expr>,
    },
    /// The number of the first of some conditions that holds for the row; NULL when none does.
    Which(Vec<Expr>),
    /// The same of a parent's row.
    ParentsWhich {
        /// The parent's table.
        table: TableRef,
        /// Its alias.
        alias: u8,
        /// The conditions on it.
        ways: Vec<Expr>,
        /// How the parent is found.
        condition: Box<Expr>,
    },
}

/// How a value of a column is read: [`dialect::read_expression`] or [`dialect::read_for_stream`].
pub(super) type ReadValue = fn(&mut Stmt, &Column, Backend, &Stmt) -> Form;

/// Reads it as text.
pub(super) fn read_text(stmt: &mut Stmt, column: &Column, backend: Backend, expression: &Stmt) -> Form {
    dialect::read_expression(stmt, column, backend, expression);
    Form::Text
}

impl Lookup {
    pub(super) fn write(&self, stmt: &mut Stmt, backend: Backend, read: ReadValue) -> Form {
        let operand = match self {
            Self::Own(operand) | Self::Parent { operand, .. } => operand,
            Self::Which(ways) => {
                write_which(stmt, backend, ways);
                return Form::Text;
            }
            Self::ParentsWhich { table, alias: number, ways, condition } => {
                stmt.sql("(SELECT ");
                write_which(stmt, backend, ways);
                stmt.sql(" FROM ");
                table.write(stmt);
                stmt.sql(" ").sql(alias(*number)).sql(" WHERE ");
                condition.write(stmt, backend);
                stmt.sql(")");
                return Form::Text;
            }
        };
        let mut inner = Stmt::default();
        operand.write(&mut inner);
        if let Self::Parent { table, alias: number, condition, .. } = self {
            stmt.sql("(SELECT ");
            let form = read(stmt, &operand.column, backend, &inner);
            stmt.sql(" FROM ");
            table.write(stmt);
            stmt.sql(" ").sql(alias(*number)).sql(" WHERE ");
            condition.write(stmt, backend);
            stmt.sql(")");
            return form;
        }
        read(stmt, &operand.column, backend, &inner)
    }
}

/// The numbers of conditions.
const NUMBERS: [&str; 33] = [
    "'0'", "'1'", "'2'", "'3'", "'4'", "'5'", "'6'", "'7'", "'8'", "'9'", "'10'", "'11'", "'12'", "'13'", "'14'",
    "'15'", "'16'", "'17'", "'18'", "'19'", "'20'", "'21'", "'22'", "'23'", "'24'", "'25'", "'26'", "'27'", "'28'",
    "'29'", "'30'", "'31'", "'32'",
];

/// How many conditions a [`Lookup::Which`] tells apart.
pub const MOST_WAYS: usize = NUMBERS.len();

fn write_which(stmt: &mut Stmt, backend: Backend, ways: &[Expr]) {
    stmt.sql("CASE");
    for (way, number) in ways.iter().zip(NUMBERS) {
        stmt.sql(" WHEN ");
        way.write(stmt, backend);
        stmt.sql(" THEN ").sql(number);
    }
    stmt.sql(" WHEN 1 = 0 THEN '' END");
}
