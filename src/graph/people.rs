//! Who a row is about: the links of the map to persons, held against the live catalog.
//!
//! A person is known by a key (`[people.NAME] data = …`) or by addresses alone. A row names a person by key columns, by a
//! part of a text or of JSON ([`KeyLink`]), or by addresses ([`AddressLink`]). Conditions on these come from here only,
//! so that purge, hold, report and erasure mean the same rows. Comparisons: [`crate::store::target::people`].

use std::collections::BTreeMap;

use super::{Edge, Graph, Node, Resolved};
use crate::config::document::{Document, Person as Written};
use crate::config::values::{Comparison, Identifiers};
use crate::names::{DataName, PersonName};
use crate::redact::Sealed;
use crate::store::catalog::{Column, TypeClass};
use crate::store::target::people::{email, phone};
use crate::store::target::{Alike, Expr, JsonStep, Operand, Scalar, Scope};

mod addresses;
mod resolve;

use addresses::fits;

pub(super) use resolve::{can_be_blanked, resolve};

/// How many last digits of a phone number count, when the file does not say.
const DIGITS: u8 = 9;

/// How a kind of identifier compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compare {
    /// To the byte.
    Exact,
    /// Without case.
    Email,
    /// By the last digits.
    Phone(u8),
}

/// One kind of person.
#[derive(Clone, Debug)]
pub struct PersonKind {
    /// Its name.
    pub name: PersonName,
    /// The entry with one row for each person; none for a person known by addresses alone.
    pub data: Option<DataName>,
    /// How each kind of identifier compares.
    pub compare: BTreeMap<String, Compare>,
    /// Where the identifiers of a person known by key stand.
    pub identifiers: BTreeMap<String, Identifier>,
}

/// Where one kind of identifier stands.
#[derive(Clone, Debug)]
pub struct Identifier {
    /// The entry.
    pub data: DataName,
    /// The column.
    pub column: Column,
    /// The rows that hold this kind.
    pub condition: Resolved,
    /// The columns of the entry that hold the person's key, in the key's order.
    pub key: Vec<Column>,
}

/// How key columns hold the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyForm {
    /// As they are.
    Whole,
    /// At a path within JSON.
    Json(Vec<JsonStep>),
    /// Between two texts: at the beginning of the column `after`, up to the first `before`.
    Part {
        /// What stands before the key.
        after: Option<String>,
        /// What stands behind it.
        before: Option<String>,
    },
}

/// A way in which a row names a person by key.
#[derive(Clone, Debug)]
pub struct KeyLink {
    /// The kind of person.
    pub kind: PersonName,
    /// The columns, in the order of the person's key.
    pub columns: Vec<Column>,
    /// How they hold it.
    pub form: KeyForm,
    /// The rows for which the link holds.
    pub condition: Resolved,
    /// Columns that a report hides from a person whom the row names by nothing but such links: they say something of
    /// somebody else.
    pub hides: Vec<Column>,
}

/// A column that holds an address of a person.
#[derive(Clone, Debug)]
pub struct AddressLink {
    /// The kind of address.
    pub kind: String,
    /// The column.
    pub column: Column,
    /// How it compares.
    pub compare: Compare,
}

/// What an erasure does with rows of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OnErasure {
    /// They go.
    Delete,
    /// Their personal columns are overwritten.
    Anonymise,
    /// They stay, for this reason.
    Keep(String),
}

/// All kinds of person.
pub type People = BTreeMap<PersonName, PersonKind>;

/// An address that is looked for.
#[derive(Clone)]
pub struct Address {
    /// Its kind.
    pub kind: String,
    /// How it compares.
    pub compare: Compare,
    /// Its value in the form that compares.
    pub value: Sealed,
    alike: Vec<Sealed>,
}

/// Why an address cannot be looked for; never with its value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Blank.
    #[error("the {0} is empty")]
    Blank(String),
    /// Too few digits.
    #[error("the {0} has fewer than 3 digits, which would name nobody")]
    Short(String),
}

impl Address {
    /// An address of a kind.
    ///
    /// # Errors
    /// When it could match strangers.
    pub fn new(kind: &str, compare: Compare, value: &str) -> Result<Self, AddressError> {
        if value.trim().is_empty() {
            return Err(AddressError::Blank(kind.to_owned()));
        }
        let (normal, alike) = match compare {
            Compare::Exact => (value.to_owned(), Vec::new()),
            Compare::Email => {
                // A database whose locale knows ASCII only leaves other capitals as they are.
                let mut spellings = vec![email(value)];
                let ascii = value.trim().to_ascii_lowercase();
                if !spellings.contains(&ascii) {
                    spellings.push(ascii);
                }
                (email(value), spellings.into_iter().map(Sealed::new).collect())
            }
            Compare::Phone(digits) => {
                let digits = phone(value, usize::from(digits)).ok_or_else(|| AddressError::Short(kind.to_owned()))?;
                (digits.clone(), vec![Sealed::new(digits)])
            }
        };
        Ok(Self { kind: kind.to_owned(), compare, value: Sealed::new(normal), alike })
    }

    /// The value of a column in the form that compares; `None` for what is no address of its kind.
    pub fn normal(compare: Compare, value: &str) -> Option<String> {
        Self::new("", compare, value).ok().map(|address| address.value.into_exposed())
    }
}

impl AddressLink {
    /// The column in a scope.
    pub fn operand(&self, scope: &Scope) -> Operand {
        Operand { scope: scope.clone(), column: self.column.clone() }
    }

    /// Rows whose column holds this address.
    pub fn matches(&self, address: &Address, scope: &Scope) -> Expr {
        let operand = self.operand(scope);
        match (address.compare, address.alike.first()) {
            (Compare::Email, Some(_)) => Expr::Alike(operand, Alike::Email(address.alike.clone())),
            (Compare::Phone(digits), Some(value)) => Expr::Alike(operand, Alike::Phone(digits, value.clone())),
            _ if fits(&self.column, address.value.expose()) => Expr::Exact(operand, address.value.clone()),
            _ => Expr::Any(Vec::new()),
        }
    }

    /// Rows whose column holds any address.
    pub fn is_set(&self, scope: &Scope) -> Expr {
        let set = Expr::Null(self.operand(scope), false);
        if self.column.class == TypeClass::Text {
            let blank =
                Expr::Compare(self.operand(scope), crate::store::target::Op::Equal, Scalar::Policy(String::new()));
            set.and(Expr::Not(Box::new(blank)))
        } else {
            set
        }
    }
}

impl KeyLink {
    /// Columns that hold the key as it is, in every row.
    pub fn whole(kind: &PersonName, columns: &[Column]) -> Self {
        let (kind, columns) = (kind.clone(), columns.to_vec());
        Self { kind, columns, form: KeyForm::Whole, condition: Resolved::nothing(), hides: Vec::new() }
    }

    fn operand(&self, column: &Column, scope: &Scope) -> Operand {
        Operand { scope: scope.clone(), column: column.clone() }
    }

    /// Rows that name this person; `alias` is the next free one.
    pub fn matches(&self, graph: &Graph, key: &[Sealed], scope: &Scope, alias: u8) -> Expr {
        self.names(key, scope).and(self.condition.expr(graph, scope, alias))
    }

    /// Rows that name anybody this way.
    pub fn is_set(&self, graph: &Graph, scope: &Scope, alias: u8) -> Expr {
        let set = match &self.form {
            KeyForm::Json(path) => Expr::All(
                self.columns.iter().map(|column| Expr::Json(self.operand(column, scope), path.clone(), None)).collect(),
            ),
            KeyForm::Whole | KeyForm::Part { .. } => Expr::All(
                self.columns
                    .iter()
                    .flat_map(|column| {
                        let operand = self.operand(column, scope);
                        let start = match &self.form {
                            KeyForm::Part { after: Some(after), .. } => {
                                Some(Expr::Begins(operand.clone(), Sealed::new(after.clone())))
                            }
                            _ => None,
                        };
                        std::iter::once(Expr::Null(operand, false)).chain(start)
                    })
                    .collect(),
            ),
        };
        set.and(self.condition.expr(graph, scope, alias))
    }

    /// Rows that name somebody else this way.
    pub fn names_another(&self, graph: &Graph, key: &[Sealed], scope: &Scope, alias: u8) -> Expr {
        Expr::IsTrue(Box::new(self.is_set(graph, scope, alias))).and(Expr::IsNotTrue(Box::new(self.names(key, scope))))
    }

    /// The key that the columns of a row hold, when they hold any: what [`KeyLink::matches`] finds.
    pub fn read(&self, values: &[Option<Sealed>]) -> Option<Vec<Sealed>> {
        let values: Vec<Sealed> = values.iter().cloned().collect::<Option<_>>()?;
        let [only] = values.as_slice() else { return (self.form == KeyForm::Whole).then_some(values) };
        let text = only.expose();
        let key = match &self.form {
            KeyForm::Whole => return Some(values),
            KeyForm::Json(path) => {
                let json: serde_json::Value = serde_json::from_str(text).ok()?;
                let found = path.iter().try_fold(&json, |at, step| match step {
                    JsonStep::Member(name) => at.get(name),
                    JsonStep::Place(place) => at.get(*place as usize),
                })?;
                match found {
                    serde_json::Value::String(text) => text.clone(),
                    serde_json::Value::Null => return None,
                    other => other.to_string(),
                }
            }
            KeyForm::Part { after, before } => {
                let rest = text.strip_prefix(after.as_deref().unwrap_or_default())?;
                let end = before.as_ref().and_then(|before| rest.find(before.as_str())).unwrap_or(rest.len());
                rest[..end].to_owned()
            }
        };
        Some(vec![Sealed::new(key)])
    }

    /// Whether the link hides a column from those whom it names.
    pub fn hides(&self, column: &Column) -> bool {
        self.hides.iter().any(|hidden| hidden.name == column.name)
    }

    fn names(&self, key: &[Sealed], scope: &Scope) -> Expr {
        if key.len() != self.columns.len() {
            return Expr::Any(Vec::new());
        }
        match (&self.form, self.columns.as_slice(), key) {
            (KeyForm::Json(path), [column], [value]) => {
                Expr::Json(self.operand(column, scope), path.clone(), Some(value.clone()))
            }
            (KeyForm::Part { after, before }, [column], [value]) => {
                self.part(column, scope, (after.as_deref(), before.as_deref()), value.expose())
            }
            _ => Expr::All(
                self.columns
                    .iter()
                    .zip(key)
                    .map(|(column, value)| {
                        if fits(column, value.expose()) {
                            Expr::Exact(self.operand(column, scope), value.clone())
                        } else {
                            Expr::Any(Vec::new())
                        }
                    })
                    .collect(),
            ),
        }
    }

    /// The whole text, or its beginning up to `before`. A key that holds `before` itself could not be told apart.
    fn part(&self, column: &Column, scope: &Scope, (after, before): (Option<&str>, Option<&str>), key: &str) -> Expr {
        let start = format!("{}{key}", after.unwrap_or_default());
        let whole = Expr::Exact(self.operand(column, scope), Sealed::new(start.clone()));
        match before {
            None => whole,
            Some(before) if key.contains(before) => Expr::Any(Vec::new()),
            Some(before) => {
                let begins = Expr::Begins(self.operand(column, scope), Sealed::new(format!("{start}{before}")));
                Expr::Any(vec![whole, begins])
            }
        }
    }
}

/// The comparison of a kind of identifier.
fn compare_of(written: &Written, kind: &str) -> Compare {
    let digits = written.digits.unwrap_or(DIGITS);
    match (written.compare.get(kind), kind) {
        (Some(Comparison::Exact), _) => Compare::Exact,
        (Some(Comparison::Email), _) | (None, "email") => Compare::Email,
        (Some(Comparison::Phone), _) | (None, "phone") => Compare::Phone(digits),
        (None, _) => Compare::Exact,
    }
}

impl PersonKind {
    /// The kinds of identifier by which the person can be named.
    pub fn kinds(&self) -> impl Iterator<Item = &str> {
        self.compare.keys().map(String::as_str)
    }

    fn begin(name: &PersonName, written: &Written) -> Self {
        let kinds: Vec<&String> = match &written.identifiers {
            Identifiers::Columns(columns) => columns.keys().collect(),
            Identifiers::Kinds(kinds) => kinds.iter().collect(),
        };
        let compare = kinds.into_iter().map(|kind| (kind.clone(), compare_of(written, kind))).collect();
        Self { name: name.clone(), data: written.data.clone(), compare, identifiers: BTreeMap::new() }
    }
}

impl Graph {
    /// The kinds of person.
    pub fn people(&self) -> &People {
        &self.people
    }

    /// A kind of person.
    pub fn person(&self, name: &str) -> Option<&PersonKind> {
        self.people.get(name)
    }

    /// The entry whose rows are the persons of a kind.
    pub fn persons(&self, kind: &PersonKind) -> Option<&Node> {
        self.node(kind.data.as_ref()?)
    }
}

/// A link of belongs_to or unlink from an entry to the persons of a kind counts as naming them.
fn key_columns(node: &Node, links: &[KeyLink], kind: &PersonKind, key: &[Column]) -> Option<Vec<Column>> {
    let by_link = links
        .iter()
        .find(|link| link.kind == kind.name && link.form == KeyForm::Whole && link.condition.is_empty())
        .map(|link| link.columns.clone());
    by_link.or_else(|| {
        let of = |edge: &&Edge| Some(&edge.to) == kind.data.as_ref() && edge.condition.is_empty();
        let edge = node.belongs_to.iter().find(of)?;
        key.iter()
            .map(|key| edge.columns.iter().find(|(_, target)| target.name == key.name).map(|(own, _)| own.clone()))
            .collect()
    })
}

/// The document's persons, for those who read it.
pub(super) fn begin(document: &Document) -> People {
    document.people.iter().map(|(name, written)| (name.clone(), PersonKind::begin(name, written))).collect()
}
