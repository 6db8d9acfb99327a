//! Operators' tables: conditions and the few statements that use them.

pub mod capture;
pub mod copies;
pub mod expr;
mod floor;
pub mod folded;
pub mod held;
pub mod key_list;
mod keys;
mod known;
mod lookup;
pub mod ordered;
pub mod people;
pub mod probe;
pub mod rollup;
mod same;
mod scalar;
pub mod shape;
pub mod statements;
mod ties;
mod window;

pub use expr::{Expr, Op, Operand, Scalar, Scope, TableRef};
pub use held::{Guarded, HeldBy};
pub use key_list::Keys;
pub use people::{Alike, JsonStep};
pub use shape::Shape;
pub use ties::{Tie, TiedRows};
