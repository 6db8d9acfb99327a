//! The awkward cases of reality that the generated data holds, each counted.

macro_rules! cases {
    ($($(#[$doc:meta])* $case:ident = $name:literal;)*) => {
        /// One awkward case.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Case { $($(#[$doc])* $case),* }

        impl Case {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$case),*];

            /// Its name in a summary.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$case => $name),* }
            }
        }
    };
}

cases! {
    /// A contact that is going on: no end yet.
    OpenContact = "open_contact";
    /// A contact that nobody ever closed: no end for years.
    NeverClosed = "never_closed";
    /// An end in 1970, from a gateway that reported none.
    SentinelEnd = "sentinel_end";
    /// A call with its number withheld.
    NumberWithheld = "number_withheld";
    /// A contact of no queue: overrides must let it fall to the default.
    NoQueue = "no_queue";
    /// A recording where nobody asked for consent (NULL).
    ConsentMissing = "consent_missing";
    /// A recording where consent was refused (false).
    ConsentRefused = "consent_refused";
    /// A recording of a user whose switch is off.
    RecordingSwitchedOff = "recording_switched_off";
    /// A directory entry of a user whose switch is off.
    DirectorySwitchedOff = "directory_switched_off";
    /// A phone number that two customers use.
    SharedNumber = "shared_number";
    /// A phone number in another spelling than `+358…`.
    PhoneSpelling = "phone_spelling";
    /// An e-mail address with capitals.
    EmailSpelling = "email_spelling";
    /// A name with SQL or a pattern in it.
    HostileName = "hostile_name";
    /// José and jose: two people.
    LookAlikeName = "look_alike_name";
    /// A name written from right to left.
    RightToLeftName = "right_to_left_name";
    /// A user whose account is gone; the name stub is left.
    DeletedUser = "deleted_user";
    /// Addresses, roles and settings of a user whose account is gone.
    LeftRelation = "left_relation";
    /// A row of a contact, recording or statistic that refers to a user who is gone.
    GoneReference = "gone_reference";
    /// A time exactly at a cutoff, one second before it, or one after.
    AtCutoff = "at_cutoff";
    /// A file on the recording server that no row knows.
    OrphanFile = "orphan_file";
    /// A recording whose file is missing.
    MissingFile = "missing_file";
    /// A campaign that runs: no end yet.
    RunningCampaign = "running_campaign";
    /// A presence that lasts: its end is in the year 9999.
    LastingPresence = "lasting_presence";
    /// A live state that was never updated (0 seconds since 1970).
    NeverUpdated = "never_updated";
    /// A request that nobody answered yet.
    OpenRequest = "open_request";
}
