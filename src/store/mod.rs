//! Everything that speaks SQL.

mod access;
pub mod bulk;
pub mod capture;
pub mod catalog;
pub mod conn;
mod connect;
pub mod dialect;
pub mod error;
pub mod folded;
pub mod gate;
pub mod held;
pub mod identity;
pub mod ledger;
pub mod pool;
pub mod quiet;
pub mod removing;
pub mod sealed;
mod session;
pub mod state;
pub mod stmt;
mod stream;
pub mod target;
pub mod url;

pub use access::Access;
pub use conn::{Backend, Conn};
pub use error::{ErrorKind, StoreError};
pub use pool::{Database, DatabaseSpec, PooledConn};
pub use stmt::{Bind, Ident, Stmt, TextRow, TypeName};
pub use stream::{Form, Streamed, StreamedRow, Tail};
pub use url::StoreUrl;
