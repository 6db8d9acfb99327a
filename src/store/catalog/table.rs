//! Tables, columns, keys and what hangs on them, as plain data.

use crate::store::{Ident, TypeName};

/// What a table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableKind {
    /// An ordinary table.
    Table,
    /// A view, a materialised one included: nothing can be purged there.
    View,
    /// A table whose rows lie in partitions.
    Partitioned,
    /// A table of another server.
    Foreign,
    /// SQLite's virtual tables, and the shadow tables that they keep.
    Virtual,
    /// Of this session only.
    Temporary,
}

/// What a column's values are, whatever the server calls them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TypeClass {
    /// A whole number.
    Integer {
        /// Whether values may exceed `i64::MAX`.
        unsigned_big: bool,
    },
    /// An exact number with a fraction.
    Decimal,
    /// A floating point number.
    Real,
    /// True or false: `boolean`, `tinyint(1)`, `bit(1)`.
    Boolean,
    /// Text.
    Text,
    /// Bytes.
    Bytes,
    /// A UUID type of the server, not a UUID in a text column.
    Uuid,
    /// A day.
    Date,
    /// A date and time without zone.
    TimestampNaive,
    /// An instant.
    TimestampZoned,
    /// A time of day.
    Time,
    /// JSON.
    Json,
    /// An address of the internet, in the server's own type.
    Inet,
    /// One of a list of labels.
    Enum,
    /// Anything else.
    Other,
}

/// A table or view.
#[derive(Clone, Debug)]
pub struct Table {
    /// Its schema; `None` on SQLite.
    pub schema: Option<Ident>,
    /// Its name.
    pub name: Ident,
    /// What it is.
    pub kind: TableKind,
    /// Its columns, in order; SQLite's hidden ones are left out.
    pub columns: Vec<Column>,
    /// The places of the key's columns in `columns`, in the key's order; empty when there is no key.
    pub primary_key: Vec<usize>,
    /// Its indexes, the primary key's included.
    pub indexes: Vec<Index>,
    /// The foreign keys that stand on it, those of its partitions included.
    pub foreign_keys: Vec<ForeignKey>,
    /// The enabled triggers that somebody made.
    pub triggers: Vec<Trigger>,
    /// MariaDB's storage engine.
    pub engine: Option<String>,
    /// Whether a rollback brings its rows back.
    pub transactional: bool,
    /// Whether PostgreSQL's row security is switched on for it.
    pub row_security: bool,
    /// Whether row security limits what this very role sees of it; owners and superusers may be exempt.
    pub row_security_active: bool,
    /// Whether MariaDB keeps every deleted or changed row of it (system versioning): a deletion removes nothing.
    pub keeps_history: bool,
    /// Every table below it whose rows a statement on this one reaches: partitions, and PostgreSQL's `INHERITS`. On
    /// PostgreSQL these are tables of the catalog too.
    pub partitions: Vec<Partition>,
    /// The tables that it is a partition of, the nearest first.
    pub ancestors: Vec<Partition>,
    /// What the role may do with it.
    pub privileges: Privileges,
    /// How many rows the statistics guess; `None` when nobody has counted. On SQLite without `ANALYZE` an upper bound
    /// (the span of the rowids). A partitioned table has the sum of its partitions.
    pub estimated_rows: Option<u64>,
    /// How many pages it had on disk when it was last counted; `None` when the server does not say. PostgreSQL's indexes
    /// are not among them, MariaDB's are.
    pub pages: Option<u64>,
    /// Whether it has SQLite's `rowid`.
    pub rowid: bool,
    /// Whether PostgreSQL rules rewrite its deletes or updates.
    pub rules: bool,
    /// Its CHECK constraints.
    pub checks: Vec<Check>,
    /// The materialised views that read it, directly or through views: they keep copies. `schema.name`.
    pub materialised_by: Vec<String>,
}

impl Table {
    /// A table with nothing known of it but its names and kind.
    pub(super) fn new(schema: Option<&str>, name: &str, kind: TableKind) -> Self {
        Self {
            schema: schema.map(Ident::found),
            name: Ident::found(name),
            kind,
            columns: Vec::new(),
            primary_key: Vec::new(),
            indexes: Vec::new(),
            foreign_keys: Vec::new(),
            triggers: Vec::new(),
            engine: None,
            transactional: true,
            row_security: false,
            row_security_active: false,
            keeps_history: false,
            partitions: Vec::new(),
            ancestors: Vec::new(),
            privileges: Privileges::default(),
            estimated_rows: None,
            pages: None,
            rowid: false,
            rules: false,
            checks: Vec::new(),
            materialised_by: Vec::new(),
        }
    }

    /// `schema.name`, or the name where there are no schemas. For people, not for SQL.
    pub fn label(&self) -> String {
        label(self.schema_str(), self.name.as_str())
    }

    /// The schema as text.
    pub fn schema_str(&self) -> Option<&str> {
        self.schema.as_ref().map(Ident::as_str)
    }

    /// The column of this exact name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name.as_str() == name)
    }

    /// The key's columns, in the key's order.
    pub fn key_columns(&self) -> impl Iterator<Item = &Column> {
        self.primary_key.iter().filter_map(|&place| self.columns.get(place))
    }

    /// Whether an index finds rows by equality of exactly these columns: they are its leading ones, in any order.
    /// Partial, invalid and full-text indexes do not count; SQLite's rowid alias does.
    pub fn has_index_on(&self, leading: &[&str]) -> bool {
        if leading.is_empty() {
            return false;
        }
        let begins_with = |columns: &mut dyn Iterator<Item = Option<&str>>| {
            let first: Vec<Option<&str>> = columns.take(leading.len()).collect();
            leading.iter().all(|name| first.contains(&Some(name)))
        };
        begins_with(&mut self.key_columns().map(|column| Some(column.name.as_str())))
            || self
                .indexes
                .iter()
                .filter(|index| index.equality && !index.partial)
                .any(|index| begins_with(&mut index.columns.iter().map(Option::as_deref)))
    }
}

/// `schema.name`, or the name alone.
pub(super) fn label(schema: Option<&str>, name: &str) -> String {
    schema.map_or_else(|| name.to_owned(), |schema| format!("{schema}.{name}"))
}

/// A column.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its name.
    pub name: Ident,
    /// The type to `CAST` a bound value to, in words that this server's `CAST` takes; without length or precision, so
    /// that a cast never cuts or rounds what it is compared with (MariaDB's decimals excepted).
    pub sql_type: TypeName,
    /// The type as it was declared.
    pub declared: String,
    /// What its values are. On SQLite by the declared words where they name a time (`DATETIME`, `TIMESTAMP`, `DATE`),
    /// `UUID`, `JSON` or `BOOLEAN`, else by affinity; SQLite itself enforces neither.
    pub class: TypeClass,
    /// Whether it can be NULL.
    pub nullable: bool,
    /// How many characters (bytes of binary columns) fit; `None` when any number.
    pub max_chars: Option<u64>,
    /// Whether it is computed from others and cannot be written.
    pub generated: bool,
    /// Whether the server numbers it.
    pub auto: bool,
    /// Whether it has a default.
    pub has_default: bool,
    /// Whether MariaDB sets it to the present at every change of its row.
    pub on_update_now: bool,
    /// The labels of an enum, or of a set.
    pub enum_labels: Vec<String>,
    /// Whether it stands alone in a unique index.
    pub unique: bool,
    /// How far its order follows the order on disk, from -1 to 1; PostgreSQL, once analysed.
    pub correlation: Option<f64>,
    /// Its collation, where it is not the server's own choice.
    pub collation: Option<String>,
}

/// An index.
#[derive(Clone, Debug)]
pub struct Index {
    /// Its name.
    pub name: String,
    /// Its columns, in order; `None` for an expression.
    pub columns: Vec<Option<String>>,
    /// Whether it forbids equal values.
    pub unique: bool,
    /// Whether only some rows are in it.
    pub partial: bool,
    /// Whether it holds only the first characters of a column (MariaDB).
    pub prefix: bool,
    /// Whether it can find rows by equality: valid, visible, and neither full-text nor spatial nor BRIN nor GIN.
    pub equality: bool,
}

/// What happens to referring rows when their target is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FkAction {
    /// Refused, at the end of the statement or, deferred, of the transaction.
    NoAction,
    /// Refused at once.
    Restrict,
    /// They are deleted.
    Cascade,
    /// Their reference becomes NULL.
    SetNull,
    /// Their reference becomes its default.
    SetDefault,
}

/// A foreign key, seen from the table that it stands on.
#[derive(Clone, Debug)]
pub struct ForeignKey {
    /// Its name; SQLite has none, so one is made of the columns.
    pub name: String,
    /// The referring columns, in order.
    pub columns: Vec<String>,
    /// The schema of the table that is referred to.
    pub target_schema: Option<String>,
    /// The table that is referred to.
    pub target: String,
    /// The columns that are referred to, in the order of `columns`.
    pub target_columns: Vec<String>,
    /// What a deletion of the target does.
    pub on_delete: FkAction,
    /// Whether it may be checked at the end of the transaction only.
    pub deferrable: bool,
    /// Whether the server keeps it: false for engines that ignore it.
    pub enforced: bool,
    /// The partition (`schema.name`) that has it, when the table as a whole has not.
    pub on_partition: Option<String>,
}

/// When a trigger runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timing {
    /// Before the change, which it may prevent.
    Before,
    /// After the change.
    After,
    /// In its place (views).
    InsteadOf,
}

/// A trigger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trigger {
    /// Its name.
    pub name: String,
    /// When it runs.
    pub timing: Timing,
    /// Whether inserts run it.
    pub insert: bool,
    /// Whether updates run it.
    pub update: bool,
    /// Whether deletes run it.
    pub delete: bool,
    /// What it does, as the database tells it; the functions that it calls in turn are not followed.
    pub body: String,
    /// The partition (`schema.name`) that has it, when the table as a whole has not.
    pub on_partition: Option<String>,
}

impl Trigger {
    /// Whether it can prevent a deletion or make it count 0.
    pub fn before_delete(&self) -> bool {
        self.delete && self.timing != Timing::After
    }
}

/// A table above or below another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Its schema; `None` for MariaDB's partitions, which are no tables.
    pub schema: Option<Ident>,
    /// Its name.
    pub name: Ident,
    /// Whether rows lie in it: it is not itself only the sum of others.
    pub leaf: bool,
}

impl Partition {
    /// `schema.name`, or the name alone.
    pub fn label(&self) -> String {
        label(self.pair().0, self.pair().1)
    }

    pub(super) fn pair(&self) -> (Option<&str>, &str) {
        (self.schema.as_ref().map(Ident::as_str), self.name.as_str())
    }
}

/// What the role may do with a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "four privileges, each there or not")]
pub struct Privileges {
    /// Read all its columns.
    pub select: bool,
    /// Add rows.
    pub insert: bool,
    /// Change at least one of its columns.
    pub update: bool,
    /// Delete rows.
    pub delete: bool,
}

/// A CHECK constraint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Its name, where it has one.
    pub name: String,
    /// The columns in it, as far as they could be found in its text.
    pub columns: Vec<String>,
    /// Its text.
    pub text: String,
}
