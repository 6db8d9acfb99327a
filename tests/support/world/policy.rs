//! The policy of the small world.

use std::path::Path;

use super::Fate;

pub(super) fn policy(url: &str, state: &str, voice: &Path, fate: Fate, pace: &str) -> String {
    let (contacts, events) = match fate {
        Fate::Delete => ("", ""),
        Fate::Anonymise => (
            "on_expiry = \"anonymise\"\nmarker = \"removed_at\"\nanonymise = { caller = \"null\" }",
            "on_expiry = \"anonymise\"\nanonymise = { address = \"null\" }",
        ),
    };
    let voice = voice.display();
    let form = r#"zone = "UTC", format = "%Y-%m-%d %H:%M:%S""#;
    format!(
        r#"
timezone = "UTC"
[state]
url = "{state}"
[brakes]
max_percent = 100.0
[pace]
{pace}
[stores.db]
url = "{url}"
[stores.voice]
url = "file:{voice}"
grace = "1 hours"
[categories.calls]
title = "Calls"
purpose = "To serve"
legal_basis = "Art. 6(1)(b) GDPR"
[data.contacts]
store = "db"
table = "contacts"
category = "calls"
time = {{ column = "ended_at", {form} }}
{contacts}
[data.events]
store = "db"
table = "events"
category = "calls"
belongs_to = {{ data = "contacts", by = "contact_id" }}
{events}
[data.recordings]
store = "db"
table = "recordings"
category = "calls"
belongs_to = {{ data = "contacts", by = "contact_id" }}
file = {{ store = "voice", path = "path" }}
[data.log]
store = "db"
table = "log"
category = "calls"
time = {{ column = "written_at", {form} }}
[jobs.contacts]
kind = "retention_purge"
data = ["contacts"]
keep = "2 years"
[jobs.log]
kind = "retention_purge"
data = ["log"]
keep = "2 years"
"#
    )
}
