//! One person's erasure on random maps and random rows, on the three databases, against a model that knows nothing of
//! SQL: what the plan shows goes or changes, what it names as kept stays, and nobody else's row changes by a byte.
//!
//! `RETENTIOND_TORTURE=long` tries many more; `RETENTIOND_SEED` repeats a run's choices.
#![expect(clippy::unwrap_used, reason = "the helpers of a test stop it by panicking")]

#[path = "erasure/cases.rs"]
mod cases;
#[path = "erasure/judge.rs"]
mod judge;
#[path = "erasure/model.rs"]
mod model;
#[path = "erasure/shop.rs"]
mod shop;
mod support;

use model::{Map, Rows, Whom};
use shop::{Engine, Shop};
use support::Random;

#[test]
fn random_maps_on_sqlite() {
    random_maps(Engine::Sqlite);
}

#[test]
fn random_maps_on_postgres() {
    random_maps(Engine::Postgres);
}

#[test]
fn random_maps_on_mariadb() {
    random_maps(Engine::Mariadb);
}

fn random_maps(engine: Engine) {
    let mut random = Random::seeded(&format!("erasure on {engine:?}"));
    let rounds = if std::env::var("RETENTIOND_TORTURE").is_ok_and(|long| long == "long") { 200 } else { 5 };
    let (mut changed, mut round) = (0, 0);
    // By chance there may be little to erase in a few rounds.
    while round < rounds || (changed <= rounds && round < 10 * rounds) {
        round += 1;
        let map = Map::random(&mut random);
        let rows = Rows::random(&map, &mut random);
        let shop = Shop::new(engine, &map.policy(), &map.schema(engine));
        shop.sql(&rows.sql(&map));
        for whom in [Whom::random(&rows, &mut random), Whom::random(&rows, &mut random)] {
            if random.coin() {
                erased_in_two_steps(&map, &shop, &whom, &mut random);
            }
            let before = Rows::read(&map, &shop);
            let expected = before.erased(&map, &whom);
            let context = format!("{engine:?}, round {round}: {whom:?}\n{}\n{}", map.policy(), before.sql(&map));
            let plan = shop.plan(&whom.arguments());
            assert_eq!(Rows::read(&map, &shop), before, "the plan changed something: {context}");
            assert_eq!(plan.rows(), before.touched(&map, &whom), "planned: {plan:#?} {context}");
            let shown = shop.report(&whom.arguments(), &context);
            let done = shop.erase(&whom.arguments(), &plan, &context);
            let after = Rows::read(&map, &shop);
            before.check_report((&map, &whom), &after, &shown, &context);
            assert_eq!(after, expected, "{done:#?} {context}");
            changed += plan.rows().values().sum::<u64>();
            // Walked again: the same stays for the same reasons, and nothing is left to do.
            let again = shop.plan(&whom.arguments());
            assert_eq!(again.rows().values().sum::<u64>(), 0, "a second erasure finds something: {again:#?} {context}");
        }
    }
    assert!(changed > rounds, "the random rows gave too little to erase: {changed}");
}

/// An erasure while a case holds some rows: these and what belongs to them stay to the byte, as does whoever is not erased;
/// and it loses nothing that the same erasure needs once the case is over.
fn erased_in_two_steps(map: &Map, shop: &Shop, whom: &Whom, random: &mut Random) {
    let before = Rows::read(map, shop);
    let held = before.pick(random);
    let context = format!("{whom:?}, held: {held:?}\n{}\n{}", map.policy(), before.sql(map));
    for (at, ids) in &held {
        let (data, only) = (format!("e{at}"), format!("id = [{}]", ids.iter().cloned().collect::<Vec<_>>().join(", ")));
        let add = shop.run(&["hold", "add", "court", "--data", &data, "--where", &only, "--why", "asked"]);
        assert_eq!(add.code, 0, "{add:#?} {context}");
    }
    let plan = shop.plan(&whom.arguments());
    let arguments = whom.arguments();
    let words = arguments.iter().map(String::as_str);
    let name = plan.name();
    let erase: Vec<&str> = std::iter::once("erase").chain(words).chain(["--yes-i-mean", &name]).collect();
    let done = shop.run(&erase);
    // All of it may be held.
    assert!(matches!(done.code, 0 | 4), "{done:#?} {context}");
    assert_eq!(done.rows(), plan.rows(), "the run did something else than the plan: {done:#?} {context}");
    let after = Rows::read(map, shop);
    let (covered, expected) = (before.covered(map, &held), before.erased(map, whom));
    for (at, rows) in before.entries.iter().enumerate() {
        for (id, row) in rows {
            let now = after.entries[at].get(id);
            let stays = now == Some(row);
            assert!(stays || !covered.contains(&(at, id.clone())), "e{at} {id} is held: {now:?} {context}");
            assert!(stays || now == expected.entries[at].get(id), "e{at} {id} is neither: {now:?} {context}");
        }
    }
    if !held.is_empty() {
        let released = shop.run(&["hold", "release", "court", "--approve-as", "nobody"]);
        assert_eq!(released.code, 0, "{released:#?} {context}");
    }
    assert_eq!(after.erased(map, whom), expected, "what stayed is not found any more: {context}");
}
