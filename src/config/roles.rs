//! `[roles]`: who may do what through the daemon. What each role may do is said where it is asked (`daemon::counter`).

use schemars::JsonSchema;
use serde::Deserialize;

use super::values::OneOrMany;

/// `[roles]`: which Unix groups may do what through the daemon's socket. Root and the daemon's own user may do everything;
/// who has no role may do nothing.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Roles {
    /// Runs, pauses and resumes jobs, and sees how they are; sees no personal data.
    pub operator: Option<OneOrMany>,
    /// Requests reports about anyone, erases, and places legal holds.
    pub dpo: Option<OneOrMany>,
    /// Reads and verifies the trail, and sees the lists of requests and holds.
    pub auditor: Option<OneOrMany>,
    /// Requests reports about users.
    pub administrator: Option<OneOrMany>,
}
