//! Where a statement looks for rows, said before which of them it means.
//!
//! Of two lower or two upper bounds on the column of an index, SQLite searches by the first and reads all that the second
//! leaves out. So the bounds of a window stand before those of what is due: a window that stood behind them read the index
//! from the first row that is due, or to the cutoff, for each batch. Measured: `benches/NOTES.md`.

use super::Expr;

impl Expr {
    /// These rows, looked for in a window.
    #[must_use]
    pub fn within(self, window: Self) -> Self {
        window.and(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Backend, Stmt};

    #[test]
    fn the_window_stands_first() {
        let part = |name: &str| Expr::AnyHeld(vec![name.to_owned()]);
        let mut stmt = Stmt::default();
        part("due").and(part("too")).within(part("low").and(part("high"))).write(&mut stmt, Backend::Sqlite);
        let text = stmt.to_text(Backend::Sqlite);
        let places = ["'low'", "'high'", "'due'", "'too'"].map(|name| text.find(name).expect("it is there"));
        assert!(places.is_sorted(), "{text}");
    }
}
