//! Mistakes of a purge that its own keys do not show alone.

use std::collections::BTreeMap;

use super::{KIND, Spec};
use crate::config::diagnostic::Diagnostics;
use crate::config::document::Document;
use crate::config::period::Keep;
use crate::graph::{Graph, Node, ties};
use crate::names::{DataName, JobName};

/// What goes together must be purged by one job: it alone knows the rules of all of it.
pub(super) fn ties(graph: &Graph, spec: &Spec, data: &DataName, place: &[String], diagnostics: &mut Diagnostics) {
    for other in ties::tied_to(graph, data).iter().filter(|other| !spec.data.contains(other)) {
        let message = format!("`{data}` goes together with `{other}` (`goes_with`), which this job does not purge");
        let help = format!("add \"{other}\" to `data`; until then no row that is tied to it would go");
        diagnostics.error(place.to_vec(), message).with_help(Some(help));
    }
}

/// A row whose age nobody knows is never expired by it. A `time` that is written down and wrong was reported where it stands.
pub(super) fn ages(node: &Node, spec: &Spec, document: &Document, place: Vec<String>, diagnostics: &mut Diagnostics) {
    let written = document.data.get(&node.name).is_some_and(|entry| entry.time.is_some());
    let forever = spec.keep == Keep::Forever && spec.overrides.iter().all(|rule| rule.keep == Keep::Forever);
    if !forever && !written && node.age.is_none() && node.ages_with.is_none() {
        let message = format!("`{}` has no `time`, so nothing says how old its rows are", node.name);
        let help = format!(
            "say time = \"…\" in [data.{0}], or keep = \"forever\" if only `requires` shall remove rows",
            node.name
        );
        diagnostics.error(place, message).with_help(Some(help));
    }
}

/// Two jobs with the same entry and the same `where` would both claim to be the rule for the same rows.
pub(in crate::jobs) fn refuse_twins(document: &Document, diagnostics: &mut Diagnostics) {
    let mut seen: BTreeMap<(DataName, String), JobName> = BTreeMap::new();
    for (name, raw) in document.jobs.iter().filter(|(_, raw)| raw.kind == KIND.name) {
        let Some(spec) = raw.read::<Spec>(&mut Diagnostics::default()) else { continue };
        for data in &spec.data {
            let key = (data.clone(), format!("{:?}", spec.only));
            if let Some(other) = seen.insert(key, name.clone()) {
                let message = format!("jobs `{other}` and `{name}` both purge `{data}` with the same `where`");
                let path = vec!["jobs".to_owned(), name.to_string(), "data".to_owned()];
                diagnostics.error(path, message).with_help(Some("make it one job, with an override".to_owned()));
            }
        }
    }
}
