//! The table of the summaries: which columns it has where the file does not say, and the SQL that makes it.

use super::{KIND, Spec};
use crate::config::diagnostic::Diagnostics;
use crate::config::document::{Document, Entry};
use crate::names::StoreName;
use crate::store::catalog::{Catalog, Column, Lookup};
use crate::store::target::rollup::{NewColumn, NewTable};

/// The columns of the summary and what they say, dimensions included, in the table's order.
pub(super) fn columns(spec: &Spec, source: &Entry) -> Vec<(String, String)> {
    let pair = |name: &str, what: &str| (name.to_owned(), what.to_owned());
    let by = |name: &String| (name.clone(), format!("by:{name}"));
    if let Some(columns) = &spec.columns {
        let mut all: Vec<_> = columns.iter().map(|(name, what)| pair(name, what)).collect();
        let renamed = |column: &String| columns.values().any(|what| what.strip_prefix("by:") == Some(column));
        all.extend(spec.by.iter().filter(|column| !renamed(column)).map(by));
        // The period first, then what tells groups apart, then what is said of them.
        let rank = |what: &str| match what.split(':').next() {
            Some("bucket") => 0,
            Some("supplement") => 1,
            Some("by") => 2,
            _ => 3,
        };
        all.sort_by_key(|(_, what)| rank(what));
        return all;
    }
    let actor = source.user.as_ref().and_then(|links| links.0.first()).and_then(|link| link.columns.first());
    let mut all = vec![pair("period", "bucket")];
    if actor.is_some() {
        all.push(pair("supplement", "supplement"));
    }
    all.extend(spec.by.iter().map(by));
    all.extend([pair("row_count", "count"), pair("first_at", "first"), pair("last_at", "last")]);
    all.extend(actor.map(|actor| ("actors".to_owned(), format!("distinct:{actor}"))));
    all
}

/// Whether a job of this kind keeps its summaries in a store.
pub fn wanted(document: &Document, store: &StoreName) -> bool {
    let specs = document.jobs.values().filter(|raw| raw.kind == KIND.name);
    let mut specs = specs.filter_map(|raw| raw.read::<Spec>(&mut Diagnostics::default()));
    specs.any(|spec| document.data.get(spec.into.as_str()).is_some_and(|into| into.store.as_ref() == Some(store)))
}

/// Whether a job of this kind keeps its summaries in a store that is not that of its rows.
pub fn sealed_wanted(document: &Document, store: &StoreName) -> bool {
    let specs = document.jobs.values().filter(|raw| raw.kind == KIND.name);
    let mut specs = specs.filter_map(|raw| raw.read::<Spec>(&mut Diagnostics::default()));
    let store_of = |name: &crate::names::DataName| document.data.get(name.as_str())?.store.as_ref();
    specs.any(|spec| store_of(&spec.into) == Some(store) && store_of(&spec.data) != Some(store))
}

/// Whether a job of this kind counts rows of a store and leaves them there.
pub fn folds_wanted(document: &Document, store: &StoreName) -> bool {
    let of_store = |fold: &super::Fold| {
        document.data.get(fold.data.as_str()).is_some_and(|data| data.store.as_ref() == Some(store))
    };
    super::folds(document).iter().any(|fold| !fold.purges && of_store(fold))
}

/// The tables of summaries that jobs of this kind need in a store and that are not there yet, with what is needed to make
/// them.
///
/// # Errors
/// Why a table cannot be described: a column of the rows is not there.
pub fn missing(document: &Document, store: &StoreName, catalog: &Catalog) -> Result<Vec<NewTable>, String> {
    let mut tables: Vec<NewTable> = Vec::new();
    for raw in document.jobs.values().filter(|raw| raw.kind == KIND.name) {
        let Some(spec) = raw.read::<Spec>(&mut Diagnostics::default()) else { continue };
        let (Some(source), Some(into)) = (document.data.get(spec.data.as_str()), document.data.get(spec.into.as_str()))
        else {
            continue;
        };
        let (Some(from), Some(to)) = (&source.table, &into.table) else { continue };
        if into.store.as_ref() != Some(store)
            || source.store.as_ref() != Some(store)
            || matches!(catalog.find(to), Lookup::Found(_))
        {
            continue;
        }
        let Lookup::Found(from) = catalog.find(from) else { continue };
        let column = |name: &str| -> Result<&Column, String> {
            from.column(name.trim())
                .ok_or_else(|| format!("job `{}`: `{}` has no column `{name}`", raw.name, spec.data))
        };
        let time = match &source.time {
            Some(crate::config::values::TimeColumn::Column { column: name, .. }) => column(name)?,
            _ => return Err(format!("job `{}`: `{}` has no time of its own", raw.name, spec.data)),
        };
        let mut made = Vec::new();
        for (name, what) in columns(&spec, source) {
            let (word, rest) = what.split_once(':').unwrap_or((what.as_str(), ""));
            made.push((
                name,
                match word {
                    "bucket" => NewColumn::Period,
                    "supplement" => NewColumn::Supplement,
                    "count" | "distinct" => NewColumn::Count,
                    "sum" => NewColumn::Sum,
                    "by" => NewColumn::Dimension(column(rest)?.clone()),
                    "min" | "max" => NewColumn::Like(column(rest)?.clone()),
                    _ => NewColumn::Like(time.clone()),
                },
            ));
        }
        let table = NewTable::new(to, made).map_err(|why| format!("job `{}`: {why}", raw.name))?;
        if !tables.contains(&table) {
            tables.push(table);
        }
    }
    Ok(tables)
}
