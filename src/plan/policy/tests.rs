//! The comparison of rules against a small world in which every row can be tried.

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// Columns `a` and `b`, each 0, 1 or 2.
fn world() -> impl Iterator<Item = (i64, i64)> {
    (0..3).flat_map(|a| (0..3).map(move |b| (a, b)))
}

fn matches(condition: &Value, row: (i64, i64)) -> bool {
    condition.as_object().unwrap().iter().all(|(column, test)| {
        let own = if column == "a" { row.0 } else { row.1 };
        let is = |literal: &Value| literal["Integer"] == own;
        test.get("Is").is_some_and(is)
            || test.get("OneOf").is_some_and(|list| list.as_array().unwrap().iter().any(is))
            || test.get("Not").is_some_and(|not| !not.get("Is").is_some_and(is))
    })
}

/// How many days a row is kept; `None` for ever, or when the rules are not for it.
fn kept(rules: &Rules, row: (i64, i64)) -> Option<u64> {
    if !matches(&json!(rules.only), row) {
        return None;
    }
    let found = rules.overrides.iter().find(|(matching, _)| matches(matching, row)).map(|(_, keep)| keep);
    found.unwrap_or(&rules.keep).strip_suffix(" days").map(|days| days.parse().unwrap())
}

fn test() -> impl Strategy<Value = Value> {
    let literal = |number: i64| json!({ "Integer": number });
    prop_oneof![
        (0_i64..3).prop_map(move |one| json!({ "Is": literal(one) })),
        (0_i64..3, 0_i64..3).prop_map(move |(one, two)| json!({ "OneOf": [literal(one), literal(two)] })),
        (0_i64..3).prop_map(move |one| json!({ "Not": { "Is": literal(one) } })),
    ]
}

fn keep() -> impl Strategy<Value = String> {
    prop_oneof![4 => (1_u32..4).prop_map(|days| format!("{days} days")), 1 => Just("forever".to_owned())]
}

fn tests() -> impl Strategy<Value = BTreeMap<String, Value>> {
    proptest::collection::btree_map(prop_oneof![Just("a".to_owned()), Just("b".to_owned())], test(), 0..3)
}

fn rules() -> impl Strategy<Value = Rules> {
    let matching = tests().prop_filter("an override has a condition", |tests| !tests.is_empty());
    let overrides = proptest::collection::vec((matching.prop_map(|tests| json!(tests)), keep()), 0..4);
    (tests(), overrides, keep()).prop_map(|(only, overrides, keep)| Rules { only, overrides, keep })
}

/// Small changes of rules, so that many pairs are nearly alike.
fn pair() -> impl Strategy<Value = (Rules, Rules)> {
    (rules(), rules(), 0_usize..7, keep()).prop_map(|(old, other, what, keep)| {
        let mut new = old.clone();
        match what {
            0 => new.keep = keep,
            1 => new.overrides.reverse(),
            2 => drop(new.overrides.pop()),
            3 => new.overrides.extend(other.overrides),
            4 => new.only.extend(other.only),
            5 => new.overrides.iter_mut().for_each(|(_, old)| old.clone_from(&keep)),
            _ => new = other,
        }
        (old, new)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_not_wider_keeps_every_row_at_least_as_long((old, new) in pair()) {
        if new.wider_than(&old).is_empty() {
            for row in world() {
                let (before, after) = (kept(&old, row), kept(&new, row));
                let longer = match (before, after) {
                    (_, None) => true,
                    (None, Some(_)) => false,
                    (Some(before), Some(after)) => after >= before,
                };
                prop_assert!(longer, "{row:?}: {before:?} days before, {after:?} now: {old:#?} {new:#?}");
            }
        }
    }

    #[test]
    fn the_same_rules_are_never_wider(rules in rules()) {
        prop_assert_eq!(rules.wider_than(&rules), Vec::<String>::new());
    }
}
