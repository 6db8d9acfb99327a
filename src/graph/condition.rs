//! `where = { … }` resolved against the catalog.

use crate::config::condition::{Literal, Test};
use crate::store::catalog::{Column, TypeClass};
use crate::store::target::{Expr, Op, Operand, Scalar, Scope};

use super::{Edge, Graph, Node};

/// A condition whose columns were found, with the links to the parents that have them.
#[derive(Clone, Debug, Default)]
pub struct Resolved(pub(super) Vec<ResolvedTest>);

#[derive(Clone, Debug)]
pub(super) struct ResolvedTest {
    /// Links from the row to the parent that has the column; empty for an own column.
    pub via: Vec<Edge>,
    pub column: Column,
    pub test: Test,
}

impl Resolved {
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The condition on rows in `scope`; `alias` is the next free alias.
    pub fn expr(&self, graph: &Graph, scope: &Scope, alias: u8) -> Expr {
        Expr::All(self.0.iter().map(|test| test.expr(graph, scope, alias)).collect())
    }
}

impl ResolvedTest {
    fn expr(&self, graph: &Graph, scope: &Scope, alias: u8) -> Expr {
        along(graph, &self.via, scope, alias, &|scope, _| {
            test_expr(&Operand { scope: scope.clone(), column: self.column.clone() }, &self.test)
        })
    }
}

/// A condition on the row at the end of a chain of links; with no links, on the row itself.
pub fn along(graph: &Graph, via: &[Edge], scope: &Scope, alias: u8, condition: &dyn Fn(&Scope, u8) -> Expr) -> Expr {
    let Some((edge, rest)) = via.split_first() else {
        return condition(scope, alias);
    };
    let Some(parent) = graph.node(&edge.to) else {
        // A link to an entry that does not exist was reported when the graph was built; nothing matches it.
        return Expr::Any(Vec::new());
    };
    let inner = Scope::Alias(alias);
    let mut parts = joined(graph, edge, scope, &inner, alias + 1);
    parts.push(along(graph, rest, &inner, alias + 1, condition));
    Expr::Exists { table: parent.at.clone(), alias, condition: Box::new(Expr::All(parts)) }
}

/// The rows of `base` and, along the table's link to itself, all that belong to them.
pub fn closed(graph: &Graph, node: &Node, scope: &Scope, alias: u8, base: &dyn Fn(&Scope, u8) -> Expr) -> Expr {
    closed_over(graph, node, (scope, alias), base, &|_, _| Expr::always())
}

/// The same, over rows that satisfy `step` alone.
pub(super) fn closed_over(
    graph: &Graph,
    node: &Node,
    (scope, alias): (&Scope, u8),
    base: &dyn Fn(&Scope, u8) -> Expr,
    step: &dyn Fn(&Scope, u8) -> Expr,
) -> Expr {
    let Some(edge) = node.self_link() else { return base(scope, alias) };
    // The alias after that of the seed is that of the rows which a step adds.
    let below = Scope::Alias(alias + 1);
    Expr::Closure {
        key: node.key_operands(scope),
        table: node.at.clone(),
        link: edge.columns.clone(),
        seed_alias: alias,
        seed: Box::new(base(&Scope::Alias(alias), alias + 2)),
        step: Box::new(step(&below, alias + 2).and(edge.condition.expr(graph, &below, alias + 2))),
    }
}

/// The other way: the rows of `base` and, along the table's link to itself, all that they belong to.
pub fn needed(graph: &Graph, node: &Node, scope: &Scope, alias: u8, base: &dyn Fn(&Scope, u8) -> Expr) -> Expr {
    let Some(edge) = node.self_link() else { return base(scope, alias) };
    let linked = |alias: u8, free: u8| edge.condition.expr(graph, &Scope::Alias(alias), free);
    Expr::Needed {
        key: node.key_operands(scope),
        table: node.at.clone(),
        link: edge.columns.clone(),
        seed_alias: alias,
        seed: Box::new(base(&Scope::Alias(alias), alias + 2)),
        // A row whose link does not hold belongs to nothing.
        linked: Box::new((linked(alias, alias + 2), linked(alias + 1, alias + 2))),
    }
}

/// The link between a referring row and the row referred to.
pub fn joined(graph: &Graph, edge: &Edge, from: &Scope, to: &Scope, alias: u8) -> Vec<Expr> {
    let mut parts: Vec<Expr> =
        edge.referred(to).into_iter().zip(edge.referring(from)).map(|(target, own)| Expr::Same(target, own)).collect();
    if !edge.condition.is_empty() {
        parts.push(edge.condition.expr(graph, from, alias));
    }
    parts
}

fn test_expr(operand: &Operand, test: &Test) -> Expr {
    let compare = |op, literal: &Literal| Expr::Compare(operand.clone(), op, scalar(&operand.column, literal));
    match test {
        Test::Is(literal) => compare(Op::Equal, literal),
        Test::OneOf(literals) => {
            Expr::OneOf(operand.clone(), literals.iter().map(|literal| scalar(&operand.column, literal)).collect())
        }
        Test::Below(literal) => compare(Op::Below, literal),
        Test::Above(literal) => compare(Op::Above, literal),
        Test::Null(is_null) => Expr::Null(operand.clone(), *is_null),
        // A test on NULL alone is never unknown, so its negation may hold for NULL; any other test of NULL is unknown.
        Test::Not(inner) => Expr::Not(Box::new(test_expr(operand, inner))),
        Test::All(tests) => Expr::All(tests.iter().map(|test| test_expr(operand, test)).collect()),
    }
}

fn scalar(column: &Column, literal: &Literal) -> Scalar {
    Scalar::Policy(match literal {
        Literal::Text(text) => text.clone(),
        Literal::Integer(number) => number.to_string(),
        Literal::Real(number) => number.to_string(),
        Literal::Boolean(truth) => match column.class {
            // PostgreSQL's own type knows words, the others numbers.
            TypeClass::Boolean if column.sql_type.as_str() == "boolean" => truth.to_string(),
            _ => u8::from(*truth).to_string(),
        },
    })
}

/// Why a literal cannot be compared with a column, if it cannot.
pub(super) fn mismatch(column: &Column, test: &Test) -> Option<String> {
    match test {
        Test::Is(literal) | Test::Below(literal) | Test::Above(literal) => literal_mismatch(column, literal),
        Test::OneOf(literals) => literals.iter().find_map(|literal| literal_mismatch(column, literal)),
        Test::Null(_) => None,
        Test::Not(inner) => mismatch(column, inner),
        Test::All(tests) => tests.iter().find_map(|test| mismatch(column, test)),
    }
}

fn literal_mismatch(column: &Column, literal: &Literal) -> Option<String> {
    let wrong = match (&column.class, literal) {
        (TypeClass::Integer { .. }, Literal::Integer(_)) => false,
        (TypeClass::Integer { .. }, Literal::Text(text)) => text.parse::<i128>().is_err(),
        // MariaDB and SQLite have no boolean of their own.
        (TypeClass::Integer { .. } | TypeClass::Boolean, Literal::Boolean(_)) => false,
        (TypeClass::Integer { .. }, Literal::Real(_)) => true,
        (TypeClass::Boolean, Literal::Integer(number)) => !(0..=1).contains(number),
        (TypeClass::Boolean, _) => true,
        (TypeClass::Decimal | TypeClass::Real, Literal::Text(text)) => text.parse::<f64>().is_err(),
        (TypeClass::Decimal | TypeClass::Real, Literal::Boolean(_)) => true,
        (TypeClass::Text | TypeClass::Enum | TypeClass::Uuid | TypeClass::Inet | TypeClass::Json, Literal::Text(_)) => {
            false
        }
        (
            TypeClass::Date | TypeClass::TimestampNaive | TypeClass::TimestampZoned | TypeClass::Time,
            Literal::Text(text),
        ) => !text.starts_with(|c: char| c.is_ascii_digit()),
        (TypeClass::Text, _) => true,
        (TypeClass::Enum | TypeClass::Uuid | TypeClass::Inet | TypeClass::Json, _) => true,
        (TypeClass::Date | TypeClass::TimestampNaive | TypeClass::TimestampZoned | TypeClass::Time, _) => true,
        (TypeClass::Bytes, _) => true,
        (TypeClass::Decimal | TypeClass::Real, _) | (TypeClass::Other, _) => false,
    };
    wrong.then(|| {
        let found = match literal {
            Literal::Text(_) => "text",
            Literal::Integer(_) => "a whole number",
            Literal::Real(_) => "a fractional number",
            Literal::Boolean(_) => "true or false",
        };
        format!("`{}` is of type {}, which {found} cannot be compared with", column.name.as_str(), column.declared)
    })
}
