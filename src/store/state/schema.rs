//! The tables as Diesel sees them.

diesel::table! {
    runs (id) {
        id -> Text,
        job -> Text,
        kind -> Text,
        policy_hash -> Text,
        started_at -> Timestamp,
        ended_at -> Nullable<Timestamp>,
        outcome -> Nullable<Text>,
        cutoff -> Nullable<Timestamp>,
        row_count -> BigInt,
        file_count -> BigInt,
        host -> Text,
        note -> Nullable<Text>,
    }
}

diesel::table! {
    run_steps (run_id, position) {
        run_id -> Text,
        position -> Integer,
        data -> Text,
        store -> Text,
        action -> Text,
        rule -> Nullable<Text>,
        row_count -> BigInt,
        file_count -> BigInt,
        held_count -> BigInt,
        cutoff -> Nullable<Timestamp>,
    }
}

diesel::table! {
    leases (job) {
        job -> Text,
        holder -> Text,
        token -> BigInt,
        expires_at -> Timestamp,
    }
}

diesel::table! {
    pauses (job) {
        job -> Text,
        since -> Timestamp,
    }
}
