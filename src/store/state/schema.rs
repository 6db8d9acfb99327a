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
        slot -> Nullable<Timestamp>,
        started_by -> Nullable<Text>,
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
    gone_persons (person, digest) {
        person -> Text,
        digest -> Text,
        first_seen -> Timestamp,
        last_seen -> Timestamp,
    }
}

diesel::table! {
    gone_watches (person) {
        person -> Text,
        secret -> Text,
        looks -> BigInt,
    }
}

diesel::table! {
    holds (id) {
        id -> Text,
        hold_case -> Text,
        what -> Text,
        data -> Nullable<Text>,
        why -> Text,
        placed_at -> Timestamp,
        placed_by -> Text,
        ends_at -> Nullable<Timestamp>,
        released_at -> Nullable<Timestamp>,
        released_by -> Nullable<Text>,
        approved_by -> Nullable<Text>,
        released_uid -> Nullable<BigInt>,
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

diesel::table! {
    slots (job, slot) {
        job -> Text,
        slot -> Timestamp,
        started_by -> Text,
        claimed_at -> Timestamp,
        attempts -> Integer,
        not_before -> Timestamp,
        run_id -> Nullable<Text>,
        ended_at -> Nullable<Timestamp>,
        outcome -> Nullable<Text>,
        stands_for -> BigInt,
    }
}

diesel::table! {
    schedules (job) {
        job -> Text,
        fingerprint -> Text,
        since -> Timestamp,
    }
}

diesel::table! {
    clocks (name) {
        name -> Text,
        seconds -> BigInt,
        since -> Timestamp,
    }
}

diesel::table! {
    plans (job, plan) {
        job -> Text,
        plan -> Text,
        policy_hash -> Text,
        schema_hash -> Text,
        planned_at -> Timestamp,
        steps -> Text,
        brakes -> Text,
        approved_at -> Nullable<Timestamp>,
        approved_until -> Nullable<Timestamp>,
        used_by -> Nullable<Text>,
    }
}

diesel::table! {
    policies (job) {
        job -> Text,
        policy -> Text,
        since -> Timestamp,
    }
}

diesel::table! {
    erasure_keys (epoch) {
        epoch -> Text,
        secret -> Text,
        created_at -> Timestamp,
    }
}

diesel::table! {
    erasures (id) {
        id -> Text,
        person_kind -> Text,
        epoch -> Text,
        range_from -> Nullable<Timestamp>,
        range_to -> Nullable<Timestamp>,
        begun_at -> Timestamp,
        ended_at -> Nullable<Timestamp>,
        expires_at -> Nullable<Timestamp>,
        receipt -> Nullable<Text>,
    }
}

diesel::table! {
    erasure_marks (erasure_id, kind, digest) {
        erasure_id -> Text,
        kind -> Text,
        digest -> Text,
    }
}

diesel::table! {
    store_marks (store, job) {
        store -> Text,
        job -> Text,
        batch -> Text,
    }
}

diesel::table! {
    incidents (job) {
        job -> Text,
        kind -> Text,
        detail -> Text,
        since -> Timestamp,
        told_at -> Timestamp,
        times -> Integer,
    }
}

diesel::table! {
    letters (id) {
        id -> Text,
        letter -> Text,
        written_at -> Timestamp,
        attempts -> Integer,
        not_before -> Timestamp,
    }
}

diesel::table! {
    trail_head (id) {
        id -> Integer,
        size -> BigInt,
        last_hash -> Text,
        frontier -> Text,
        origin -> Text,
        segment -> BigInt,
        segment_month -> Text,
        pruned -> BigInt,
    }
}

diesel::table! {
    trail_leaves (seq) {
        seq -> BigInt,
        leaf -> Text,
    }
}

diesel::table! {
    trail_records (seq) {
        seq -> BigInt,
        kind -> Text,
        job -> Nullable<Text>,
        run -> Nullable<Text>,
        body -> Text,
    }
}

diesel::table! {
    trail_segments (first_seq) {
        first_seq -> BigInt,
        secret -> Text,
    }
}

diesel::table! {
    trail_checkpoints (size) {
        size -> BigInt,
        note -> Text,
        made_at -> Timestamp,
        mailed_at -> Nullable<Timestamp>,
    }
}

diesel::table! {
    trail_signers (public_key) {
        public_key -> Text,
        since -> Timestamp,
    }
}

diesel::table! {
    report_requests (id) {
        id -> Text,
        job -> Text,
        origin -> Text,
        origin_key -> Nullable<Text>,
        person_kind -> Text,
        secret -> Text,
        digests -> Text,
        range_from -> Nullable<Timestamp>,
        range_to -> Nullable<Timestamp>,
        asked_by -> Text,
        asked_at -> Timestamp,
        due_at -> Timestamp,
        extended_at -> Nullable<Timestamp>,
        extended_by -> Nullable<Text>,
        extended_why -> Nullable<Text>,
        stage -> Text,
        problem -> Nullable<Text>,
        counts -> Nullable<Text>,
        ended_at -> Nullable<Timestamp>,
        ended_by -> Nullable<Text>,
        ended_why -> Nullable<Text>,
    }
}

diesel::table! {
    outbox (id) {
        id -> Text,
        request -> Text,
        sender -> Text,
        recipient -> Text,
        message_id -> Text,
        host -> Text,
        spool -> Text,
        digest -> Text,
        bytes -> BigInt,
        posted_at -> Timestamp,
        give_up_at -> Timestamp,
        state -> Text,
        phase -> Nullable<Text>,
        attempt -> Integer,
        not_before -> Timestamp,
        note -> Nullable<Text>,
        ended_at -> Nullable<Timestamp>,
        decided_by -> Nullable<Text>,
        sealed_for -> Nullable<Text>,
    }
}

diesel::allow_tables_to_appear_in_same_query!(outbox, report_requests);

diesel::table! {
    outbox_phases (letter, attempt, phase) {
        letter -> Text,
        attempt -> Integer,
        phase -> Text,
        reached_at -> Timestamp,
    }
}
