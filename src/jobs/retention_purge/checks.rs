//! Mistakes of a purge that its own keys do not show alone.

use std::collections::BTreeMap;

use super::{KIND, Spec};
use crate::config::diagnostic::Diagnostics;
use crate::config::document::Document;
use crate::config::period::Keep;
use crate::graph::{Edge, Graph, Node, Unfolded, ties};
use crate::jobs::audit_rollup::Fold;
use crate::names::{DataName, JobName};
use crate::plan::Action;
use crate::removal::{Branch, branches};

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

/// What a rollup folds.
pub(super) fn fold(document: &Document, job: &JobName) -> Option<Fold> {
    super::super::audit_rollup::fold(document, job)
}

/// What a rollup must have folded before a row of this entry goes.
pub(super) fn unfolded(graph: &Graph, node: &Node, fold: &Fold) -> Vec<Unfolded> {
    let stays = (!fold.purges).then(|| fold.job.to_string());
    let below = links_down(graph, node, &fold.data);
    let itself = (!fold.purges && node.name == fold.data).then(Vec::new);
    let all = below.into_iter().chain(itself);
    all.map(|links| Unfolded { links, stays: stays.clone() }).collect()
}

/// The ways from the rows of an entry down to those of `folded`: for each the links, the uppermost first.
pub(super) fn links_down(graph: &Graph, node: &Node, folded: &DataName) -> Vec<Vec<Edge>> {
    let mut found = Vec::new();
    // A row whose reference is only unlinked is not lost.
    let below = |branch: &Branch| branch.data == *folded && branch.action != Action::Unlink;
    for branch in branches(graph, node).into_iter().filter(below) {
        found.push(branch.path.into_iter().rev().collect());
    }
    found
}

/// A rollup that this job is to wait for, and whose rows must lie below those of the job.
pub(super) fn after_rollup(
    spec: &Spec,
    document: &Document,
    graph: &Graph,
    place: &[String],
    diagnostics: &mut Diagnostics,
) {
    let Some(job) = &spec.after_rollup else { return };
    let Some(fold) = fold(document, job) else {
        let message = format!("there is no job `{job}` of kind audit_rollup");
        diagnostics.error(place.to_vec(), message).with_help(None);
        return;
    };
    let folded = fold.data;
    if fold.purges && spec.data.contains(&folded) {
        let message = format!("job `{job}` purges the rows of `{folded}` itself, once they are folded");
        let help =
            "leave the entry to the rollup, or say purge = false there: then it leaves the rows to this job".to_owned();
        diagnostics.error(place.to_vec(), message).with_help(Some(help));
        return;
    }
    let nodes: Vec<&Node> = spec.data.iter().filter_map(|data| graph.node(data)).collect();
    let ways: Vec<Edge> = nodes.iter().flat_map(|node| links_down(graph, node, &folded)).flatten().collect();
    let linked = ways.iter().map(|edge| &edge.to).chain((!fold.purges).then_some(&folded));
    let above = linked.filter_map(|name| graph.node(name)).find(|node| node.self_link().is_some());
    if let Some(node) = above {
        let message = format!(
            "rows of `{}` belong to one another, and what job `{job}` folds may hang on any of them: that this job waits for all of it cannot be promised",
            node.name
        );
        diagnostics
            .error(place.to_vec(), message)
            .with_help(Some("leave after_rollup out, and give this job a longer `keep` than the rollup's".to_owned()));
        return;
    }
    let apart = |node: &&Node| node.name != folded && links_down(graph, node, &folded).is_empty();
    if graph.node(&folded).is_some() && nodes.iter().all(apart) {
        let message = format!("no row of `{folded}`, which job `{job}` folds, is or belongs to a row of this job");
        diagnostics.error(place.to_vec(), message).with_help(None);
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
