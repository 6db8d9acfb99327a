//! Conditions made simpler by what is known of legal holds.
//!
//! **Invariant.** [`Expr::knowing`] changes no condition's meaning: it puts in place of "is anything of these entries
//! held?" the answer that the database itself gave in the transaction that is open, under the gate, where nobody can
//! place a hold before its end ([`crate::store::held::learn`]). What is not known stays a question to the database. Where
//! the answer is no, which is nearly always, the conditions of holds fall away, and with them the time that a server
//! takes to plan and to ask them. Tests: here, `held`, and `conformance`, which plants held rows beside others.

use super::ties::Tie;
use super::{Expr, Guarded};
use crate::store::held::Known;

impl Expr {
    /// A condition that no row satisfies.
    pub fn never() -> Self {
        Self::Any(Vec::new())
    }

    /// Whether this is [`Expr::never`].
    pub fn is_never(&self) -> bool {
        matches!(self, Self::Any(parts) if parts.iter().all(Self::is_never))
    }

    /// The same condition, with what is known of holds put in.
    #[must_use]
    pub fn knowing(self, known: &Known) -> Self {
        if !known.is_known() {
            return self;
        }
        let inner = |inner: Box<Self>| Box::new(inner.knowing(known));
        match self {
            Self::AnyHeld(entries) => {
                if entries.iter().any(|entry| known.holds(entry)) {
                    Self::always()
                } else {
                    Self::never()
                }
            }
            Self::Held(entry, key, by) if known.holds(&entry) => Self::Held(entry, key, by),
            Self::Held(..) => Self::never(),
            Self::All(parts) => all(parts.into_iter().map(|part| part.knowing(known))),
            Self::Any(parts) => any(parts.into_iter().map(|part| part.knowing(known))),
            Self::Not(part) => match inner(part) {
                part if part.is_never() => Self::always(),
                part if part.is_always() => Self::never(),
                part => Self::Not(part),
            },
            Self::IsNotTrue(part) => match inner(part) {
                part if part.is_never() => Self::always(),
                part if part.is_always() => Self::never(),
                part => Self::IsNotTrue(part),
            },
            Self::IsTrue(part) => unless_never(inner(part), Self::IsTrue),
            Self::Exists { .. }
            | Self::KeyInRows { .. }
            | Self::KeyInTable { .. }
            | Self::Closure { .. }
            | Self::Needed { .. }
            | Self::Apart { .. } => self.rows_knowing(known),
            Self::Compare(..)
            | Self::Floor(..)
            | Self::OneOf(..)
            | Self::Null(..)
            | Self::Same(..)
            | Self::Exact(..)
            | Self::Alike(..)
            | Self::Begins(..)
            | Self::Json(..)
            | Self::InShape(..)
            | Self::KeyIn(..)
            | Self::Tids(..)
            | Self::KeyAfter(..)
            | Self::KeyUpTo(..)
            | Self::Folded(..)
            | Self::Pages { .. } => self,
        }
    }

    /// The same of a condition that asks for rows: without any, it is false.
    fn rows_knowing(self, known: &Known) -> Self {
        let inner = |inner: Box<Self>| Box::new(inner.knowing(known));
        match self {
            Self::Exists { table, alias, condition } => {
                unless_never(inner(condition), |condition| Self::Exists { table, alias, condition })
            }
            Self::KeyInRows { columns, table, alias, selected, condition } => {
                unless_never(inner(condition), |condition| Self::KeyInRows {
                    columns,
                    table,
                    alias,
                    selected,
                    condition,
                })
            }
            Self::KeyInTable { columns, table, selected, condition } => {
                unless_never(inner(condition), |condition| Self::KeyInTable { columns, table, selected, condition })
            }
            Self::Closure { key, table, link, seed_alias, seed, step } => {
                let step = inner(step);
                unless_never(inner(seed), |seed| Self::Closure { key, table, link, seed_alias, seed, step })
            }
            Self::Needed { key, table, link, seed_alias, seed, linked } => {
                unless_never(inner(seed), |seed| Self::Needed { key, table, link, seed_alias, seed, linked })
            }
            Self::Apart { key, number, tables, ties } => {
                let ties: Vec<Tie> = ties.into_iter().map(|tie| tie.knowing(known)).collect();
                if ties.iter().all(|tie| tie.from_stays.is_never() && tie.to_stays.is_never()) {
                    return Self::never();
                }
                Self::Apart { key, number, tables, ties }
            }
            other => other,
        }
    }
}

impl Tie {
    fn knowing(self, known: &Known) -> Self {
        Self {
            joined: self.joined.knowing(known),
            from_stays: self.from_stays.knowing(known),
            to_stays: self.to_stays.knowing(known),
            ..self
        }
    }
}

impl Guarded {
    /// The same rows, with what is known of holds put in.
    #[must_use]
    pub fn knowing(self, known: &Known) -> Self {
        self.map(|condition| condition.knowing(known))
    }
}

fn all(parts: impl Iterator<Item = Expr>) -> Expr {
    let parts: Vec<Expr> = parts.filter(|part| !part.is_always()).collect();
    if parts.iter().any(Expr::is_never) { Expr::never() } else { Expr::All(parts) }
}

fn any(parts: impl Iterator<Item = Expr>) -> Expr {
    let parts: Vec<Expr> = parts.filter(|part| !part.is_never()).collect();
    if parts.iter().any(Expr::is_always) { Expr::always() } else { Expr::Any(parts) }
}

/// No row of a sub-select means that the whole is false.
fn unless_never(condition: Box<Expr>, make: impl FnOnce(Box<Expr>) -> Expr) -> Expr {
    if condition.is_never() { Expr::never() } else { make(condition) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::target::HeldBy;
    use crate::store::{Backend, Stmt};

    fn text(expr: &Expr) -> String {
        let mut stmt = Stmt::default();
        expr.write(&mut stmt, Backend::Postgres);
        stmt.to_text(Backend::Postgres)
    }

    /// As `graph::held` makes it: unless something is held, and the row, or what belongs to it.
    fn free() -> Expr {
        let reasons = vec![
            Expr::Held("contacts".to_owned(), Vec::new(), HeldBy::Any),
            Expr::All(vec![
                Expr::AnyHeld(vec!["recordings".to_owned()]),
                Expr::Held("recordings".to_owned(), Vec::new(), HeldBy::Any),
            ]),
        ];
        let asked = Expr::AnyHeld(vec!["contacts".to_owned(), "recordings".to_owned()]);
        Expr::Not(Box::new(Expr::All(vec![asked, Expr::Any(reasons)])))
    }

    #[test]
    fn nothing_held_leaves_nothing_to_ask() {
        assert!(free().knowing(&Known::of([])).is_always());
        assert!(free().knowing(&Known::of(["others"])).is_always());
    }

    #[test]
    fn what_is_held_is_asked_for_row_by_row_and_nothing_else() {
        let kept = text(&free().knowing(&Known::of(["recordings"])));
        assert!(kept.starts_with("NOT (EXISTS (SELECT 1 FROM retentiond_held"), "{kept}");
        assert!(kept.contains("'recordings'") && !kept.contains("'contacts'"), "{kept}");
    }

    #[test]
    fn what_is_not_known_stays_a_question() {
        assert_eq!(text(&free().knowing(&Known::default())), text(&free()));
    }

    #[test]
    fn constants_fall_out_and_nothing_else_changes() {
        let row = || Expr::Pages { from: 1, to: 2 };
        let held = || Expr::AnyHeld(vec!["contacts".to_owned()]);
        let none = Known::of([]);
        assert_eq!(text(&Expr::All(vec![row(), Expr::Not(Box::new(held()))]).knowing(&none)), text(&row()));
        assert_eq!(text(&Expr::Any(vec![row(), held()]).knowing(&none)), text(&row()));
        assert!(Expr::All(vec![row(), held()]).knowing(&none).is_never());
        assert!(Expr::Any(vec![row(), held().negated()]).knowing(&none).is_always());
        // Unknown stays unknown: only whole conditions are put in.
        assert_eq!(text(&Expr::Not(Box::new(row())).knowing(&none)), text(&Expr::Not(Box::new(row()))));
    }
}
