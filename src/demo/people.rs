//! Who the users and customers are: names, numbers, addresses, all made up and all derived from a key.
//!
//! The first customers are the difficult ones, and they have contacts in every contact centre, however small. Numbers
//! are in ranges that no one can dial, addresses in domains that exist for examples.

use super::cases::Case;
use super::random::Random;

const FIRST: &[&str] = &[
    "Aino", "Eero", "Helmi", "Väinö", "Marja", "Jürgen", "Zoë", "Søren", "Nuñez", "Anna", "Olga", "Peter", "Sofia",
    "Łukasz", "Mehmet", "Amélie", "Björn", "Ida", "Tomas", "Ingrid",
];
const LAST: &[&str] = &[
    "Virtanen",
    "Korhonen",
    "Mäkinen",
    "Müller",
    "Schmidt",
    "Lindström",
    "O'Connor",
    "Østergaard",
    "Nowak",
    "García",
    "Šimon",
    "Kaya",
    "Dubois",
    "de la Cruz",
    "van Dijk",
    "Smith",
    "Petrova",
    "Çelik",
    "Rossi",
    "Saarinen",
];

/// Customers that are difficult: name, e-mail, and what makes them so.
const DIFFICULT: &[(&str, &str, Case)] = &[
    ("O'Brien %_", "o'brien_100%@example.org", Case::HostileName),
    ("José", "José@example.org", Case::LookAlikeName),
    ("jose", "jose@example.org", Case::LookAlikeName),
    ("فاطمة الزهراء", "fatima@example.net", Case::RightToLeftName),
    ("שרה כהן", "sara.cohen@example.net", Case::RightToLeftName),
    ("Robert'); DROP TABLE contacts;--", "bobby@example.com", Case::HostileName),
    ("王小明", "wang@example.com", Case::HostileName),
    ("\"Quoted\" \\ Backslash", "\"quoted\"@example.com", Case::HostileName),
];

/// How many customers are difficult.
pub(super) const DIFFICULT_CUSTOMERS: i64 = 8;

/// A user of the contact centre.
pub(super) struct User {
    pub(super) id: i64,
    pub(super) first: &'static str,
    pub(super) last: &'static str,
    pub(super) login: String,
    pub(super) email: String,
    pub(super) phone: String,
}

/// Whether the account of a user is gone.
pub(super) fn is_gone(user: i64) -> bool {
    user % 10 == 0
}

/// The user's switch for recording.
pub(super) fn may_record(user: i64) -> bool {
    user % 7 != 3
}

/// The user's switch for the directory.
pub(super) fn may_list(user: i64) -> bool {
    user % 9 != 4
}

/// The login of a user.
pub(super) fn login(user: i64) -> String {
    format!("agent{user:06}")
}

/// Who user `id` is.
pub(super) fn user(seed: u64, id: i64) -> User {
    let mut random = Random::new(seed, "user", id.unsigned_abs());
    let (first, last) = (random.pick(FIRST), random.pick(LAST));
    User {
        id,
        first,
        last,
        login: login(id),
        email: format!("agent{id:06}@centre.example"),
        phone: format!("+35829{id:07}"),
    }
}

/// A customer of the contact centre.
pub(super) struct Customer {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) email: String,
    pub(super) ip: String,
    pub(super) difficulty: Option<Case>,
    pub(super) shares_number: bool,
    digits: String,
}

/// Who customer `id` (from 0) is.
pub(super) fn customer(seed: u64, id: i64) -> Customer {
    let mut random = Random::new(seed, "customer", id.unsigned_abs());
    let shares_number = id % 50 == 49;
    let digits = format!("4{:08}", (if shares_number { id - 1 } else { id }) % 100_000_000);
    let ip = if id % 10 == 3 {
        format!("2001:db8:{:x}:{:x}::{:x}", random.below(65_536), random.below(65_536), 1 + random.below(65_535))
    } else {
        format!(
            "{}.{}.{}.{}",
            ["192.0", "198.51", "203.0"][(id % 3).unsigned_abs() as usize],
            random.below(256),
            random.below(256),
            1 + random.below(254)
        )
    };
    let difficult = usize::try_from(id).ok().and_then(|index| DIFFICULT.get(index));
    let (name, email) = match difficult {
        Some((name, email, _)) => ((*name).to_owned(), (*email).to_owned()),
        None => (format!("{} {}", random.pick(FIRST), random.pick(LAST)), format!("customer.{id}@mail.example")),
    };
    let difficulty = difficult.map(|(_, _, case)| *case);
    Customer { id, name, email, ip, difficulty, shares_number, digits }
}

impl Customer {
    /// The number in one of four spellings; 0 is the plain one.
    pub(super) fn phone(&self, spelling: i64) -> String {
        let digits = &self.digits;
        match spelling {
            1 => format!("00358{digits}"),
            2 => format!("+358 {} {} {}", &digits[..2], &digits[2..5], &digits[5..]),
            3 => format!("0{digits}"),
            _ => format!("+358{digits}"),
        }
    }

    /// The address in one of three spellings; 0 is the plain one.
    pub(super) fn mail(&self, spelling: i64) -> String {
        match spelling {
            1 => self.email.to_uppercase(),
            2 => {
                let mut letters = self.email.chars();
                letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
            }
            _ => self.email.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_difficult_customers_are_all_there() {
        assert_eq!(DIFFICULT.len(), usize::try_from(DIFFICULT_CUSTOMERS).unwrap());
        assert_eq!(customer(1, 0).name, "O'Brien %_");
        assert_ne!(customer(1, 1).phone(0), customer(1, 2).phone(0), "José is not jose");
    }

    #[test]
    fn spellings_differ_and_mean_the_same_number() {
        let customer = customer(1, 4711);
        let spellings: Vec<_> = (0..4).map(|spelling| customer.phone(spelling)).collect();
        let tail = |phone: &String| phone.chars().filter(char::is_ascii_digit).rev().take(9).collect::<String>();
        assert!(spellings.iter().all(|phone| tail(phone) == tail(&spellings[0])));
        let mut distinct = spellings.clone();
        distinct.dedup();
        assert_eq!(distinct.len(), 4);
    }

    #[test]
    fn some_customers_share_a_number() {
        assert_eq!(customer(1, 49).phone(0), customer(1, 48).phone(0));
        assert_ne!(customer(1, 50).phone(0), customer(1, 49).phone(0));
    }
}
