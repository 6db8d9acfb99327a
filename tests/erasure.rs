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
    let mut changed = 0;
    for round in 0..rounds {
        let map = Map::random(&mut random);
        let rows = Rows::random(&map, &mut random);
        let shop = Shop::new(engine, &map.policy(), &map.schema(engine));
        shop.sql(&rows.sql(&map));
        for whom in [Whom::random(&rows, &mut random), Whom::random(&rows, &mut random)] {
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
