//! The job's policy as plain data: its rules, and what the map says of every entry that a run can touch or that decides
//! which rows are due.

use std::collections::{BTreeMap, BTreeSet};

use super::Spec;
use crate::config::document::Document;
use crate::graph::{Graph, Requirement};
use crate::names::DataName;
use crate::plan::Limits;
use crate::plan::policy::{self, Policy};
use crate::removal::branches;

/// The policy of a job on a map.
pub(super) fn policy(spec: &Spec, document: &Document, graph: &Graph) -> Policy {
    let overrides = || spec.overrides.iter().map(|rule| (&rule.matching, &rule.keep));
    let rules = |data: &DataName| (data.to_string(), policy::Rules::of(&spec.only, overrides(), &spec.keep));
    let touched = touched(&spec.data, graph);
    let whole = |name: &DataName| document.data.get(name).map(|entry| (name.to_string(), policy::entry(entry)));
    // Conditions may name a parent's columns; of the parent only the place matters then.
    let place = |name: &DataName| {
        let mut keys = policy::entry(document.data.get(name)?);
        keys.retain(|key, _| matches!(key.as_str(), "store" | "table" | "key"));
        Some((name.to_string(), keys))
    };
    let above = above(&touched, graph);
    let entries = touched.iter().filter_map(whole).chain(above.iter().filter_map(place)).collect();
    let mut fixed = BTreeMap::from([
        ("kind".to_owned(), super::KIND.name.into()),
        ("timezone".to_owned(), document.timezone.name().into()),
    ]);
    if let Some(job) = &spec.after_rollup {
        fixed.insert("after_rollup".to_owned(), job.as_str().into());
        if let Some(fold) = super::checks::fold(document, job) {
            fixed.insert("after_rollup of".to_owned(), fold.data.as_str().into());
            if !fold.purges {
                fixed.insert("after_rollup purges".to_owned(), false.into());
            }
        }
    }
    Policy {
        fixed,
        limits: Limits::of(spec.brakes.as_ref(), &document.brakes).looseness(),
        rules: spec.data.iter().map(rules).collect(),
        entries,
    }
}

/// The entries of the job, all that goes along with their rows, and what their age or requirement is taken from.
fn touched(data: &[DataName], graph: &Graph) -> BTreeSet<DataName> {
    let mut touched = BTreeSet::new();
    for node in data.iter().filter_map(|name| graph.node(name)) {
        touched.extend(branches(graph, node).into_iter().map(|branch| branch.data));
        touched.insert(node.name.clone());
        if let Some(Requirement::Row(edge, _)) = &node.requires {
            touched.insert(edge.to.clone());
        }
        let mut ages_with = node.ages_with.as_ref();
        while let Some(edge) = ages_with {
            let new = touched.insert(edge.to.clone());
            ages_with = graph.node(&edge.to).filter(|_| new).and_then(|parent| parent.ages_with.as_ref());
        }
    }
    touched
}

/// The parents, however many levels up, that are not touched themselves.
fn above(touched: &BTreeSet<DataName>, graph: &Graph) -> BTreeSet<DataName> {
    let mut above = BTreeSet::new();
    let mut ways: Vec<DataName> = touched.iter().cloned().collect();
    while let Some(node) = ways.pop().and_then(|name| graph.node(&name)) {
        for edge in &node.belongs_to {
            if !touched.contains(&edge.to) && above.insert(edge.to.clone()) {
                ways.push(edge.to.clone());
            }
        }
    }
    above
}
