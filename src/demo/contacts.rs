//! Contacts of every channel, their events, statistics, notes, and attached data.

use chrono::{DateTime, NaiveDateTime, TimeDelta};

use super::DemoError;
use super::cases::Case;
use super::channels::write_channel;
use super::people::{Customer, DIFFICULT_CUSTOMERS, is_gone, login};
use super::random::Random;
use super::tables::{Table, Writer, row};
use super::users::QUEUES;
use super::voice::Voice;
use super::world::{Keep, World};

/// The retention times of contacts in the shipped policy, at which contacts are placed: channel, queue, keep.
pub(super) const KEEPS: &[(&str, Option<&str>, Keep)] = &[
    ("call", None, Keep::Months(13)),
    ("call", Some("sales"), Keep::Months(24)),
    ("call", Some("billing"), Keep::Months(24)),
    ("call", Some("claims"), Keep::Months(48)),
    ("email", None, Keep::Months(18)),
    ("email", Some("claims"), Keep::Months(48)),
    ("email", Some("billing"), Keep::Months(48)),
    ("chat", None, Keep::Months(6)),
    ("chat", Some("claims"), Keep::Months(12)),
];

/// The retention times of recordings: queue, keep.
pub(super) const RECORDING_KEEPS: &[(Option<&str>, Keep)] =
    &[(None, Keep::Months(3)), (Some("claims"), Keep::Months(12))];

/// How a contact ended.
#[derive(Clone, Copy)]
pub(super) enum End {
    /// At this instant.
    At(NaiveDateTime),
    /// Not yet.
    Open,
    /// An old gateway says: in 1970.
    Sentinel,
}

/// One contact, with what its children need to know.
pub(super) struct Contact {
    pub(super) id: i64,
    pub(super) channel: &'static str,
    pub(super) queue: Option<&'static str>,
    pub(super) agent: Option<i64>,
    pub(super) customer: Customer,
    /// The customer's number as this contact shows it; `None` where it was withheld or the channel has none.
    pub(super) phone: Option<String>,
    /// The customer's address as this contact shows it.
    pub(super) mail: Option<String>,
    pub(super) started: NaiveDateTime,
    pub(super) answered: Option<NaiveDateTime>,
    /// When it ended, or would have.
    pub(super) last: NaiveDateTime,
    end: End,
    /// The instant of its recording, where it must be a certain one.
    pub(super) recorded: Option<NaiveDateTime>,
    pub(super) random: Random,
}

/// All contacts, oldest first, and those at the cutoffs.
pub(super) fn write_contacts(
    world: &World,
    writer: &mut Writer<'_, '_>,
    voice: &mut Voice<'_>,
    progress: &mut dyn FnMut(u64),
) -> Result<(), DemoError> {
    for index in 0..world.contacts {
        let contact = some_contact(world, writer, index);
        write_contact(world, writer, voice, contact)?;
        if index % 1_000 == 999 {
            progress((index + 1).unsigned_abs());
        }
    }
    let mut next = world.contacts;
    for &(channel, queue, keep) in KEEPS {
        for at in world.around_cutoff(keep) {
            let contact = contact_at(world, next, channel, queue, at);
            writer.case(Case::AtCutoff);
            write_contact(world, writer, voice, contact)?;
            next += 1;
        }
    }
    for &(queue, keep) in RECORDING_KEEPS {
        for at in world.around_cutoff(keep) {
            let mut contact = contact_at(world, next, "call", queue, at + TimeDelta::seconds(200));
            contact.recorded = Some(at);
            writer.case(Case::AtCutoff);
            write_contact(world, writer, voice, contact)?;
            next += 1;
        }
    }
    Ok(())
}

fn some_contact(world: &World, writer: &mut Writer<'_, '_>, index: i64) -> Contact {
    let mut random = world.random("contact", index);
    let channel = match random.below(100) {
        0..60 => "call",
        60..85 => "email",
        _ => "chat",
    };
    let queue = (!random.percent(5)).then(|| random.pick(QUEUES));
    let customer = match index % 20 {
        7 => index / 20 % DIFFICULT_CUSTOMERS,
        _ => random.below(world.customers),
    };
    let started = (world.along(index, world.contacts) + TimeDelta::seconds(random.below(2 * 86_400)))
        .min(world.now - TimeDelta::seconds(3_600 + random.below(3_600)));
    let mut contact = new_contact(world, index, channel, queue, customer, started, random);
    contact.end = match index {
        index if index % 211 == 5 => End::Open,
        index if index % 307 == 7 => End::Sentinel,
        index if index >= world.contacts - 4 => End::Open,
        _ => End::At(contact.last),
    };
    match contact.end {
        End::Open if index >= world.contacts - 4 => writer.case(Case::OpenContact),
        End::Open => writer.case(Case::NeverClosed),
        End::Sentinel => writer.case(Case::SentinelEnd),
        End::At(_) => {}
    }
    contact
}

/// A contact that ended at `at` exactly.
fn contact_at(
    world: &World,
    index: i64,
    channel: &'static str,
    queue: Option<&'static str>,
    at: NaiveDateTime,
) -> Contact {
    let random = world.random("edge", index);
    let started = at - TimeDelta::seconds(300);
    let mut contact = new_contact(world, index, channel, queue, index % world.customers, started, random);
    contact.answered = Some(started + TimeDelta::seconds(10));
    contact.last = at;
    contact.end = End::At(at);
    contact
}

fn new_contact(
    world: &World,
    index: i64,
    channel: &'static str,
    queue: Option<&'static str>,
    customer: i64,
    started: NaiveDateTime,
    mut random: Random,
) -> Contact {
    let customer = world.customer(customer);
    let spelling = random.below(8);
    let phone = (channel == "call" && index % 33 != 9).then(|| customer.phone(spelling));
    let mail = (channel != "call").then(|| customer.mail(spelling));
    let answered = (!random.percent(8)).then(|| started + TimeDelta::seconds(random.between(3, 240)));
    let last = answered.unwrap_or(started) + TimeDelta::seconds(random.between(15, 900));
    let agent = answered.map(|_| 1 + random.below(world.users));
    Contact {
        id: index + 1,
        channel,
        queue,
        agent,
        customer,
        phone,
        mail,
        started,
        answered,
        last,
        end: End::Open,
        recorded: None,
        random,
    }
}

fn write_contact(
    world: &World,
    writer: &mut Writer<'_, '_>,
    voice: &mut Voice<'_>,
    mut contact: Contact,
) -> Result<(), DemoError> {
    count_cases(writer, &contact);
    let transferred = contact.random.percent(5).then(|| 1 + contact.random.below(world.users));
    let end = match contact.end {
        End::At(at) => Some(at),
        End::Open => None,
        End::Sentinel => Some(DateTime::UNIX_EPOCH.naive_utc()),
    };
    let subject = (contact.channel == "email").then(|| format!("Question of {}", contact.customer.name));
    let disposition =
        contact.answered.map(|_| contact.random.pick(&["solved", "callback", "forwarded", "wrong number"]));
    let ip = (contact.channel == "chat").then(|| contact.customer.ip.clone());
    let name = contact.random.percent(70).then(|| contact.customer.name.clone());
    writer.push(
        Table::Contacts,
        row![
            contact.id,
            contact.channel,
            if contact.id % 9 == 4 { "out" } else { "in" },
            contact.queue,
            contact.agent,
            transferred,
            contact.phone.clone(),
            contact.mail.clone(),
            name,
            ip,
            subject,
            disposition,
            contact.started,
            contact.answered,
            end,
            None::<NaiveDateTime>
        ],
    );
    write_events(writer, &contact);
    write_channel(world, writer, voice, &mut contact)?;
    write_extras(world, writer, &mut contact);
    if let End::At(at) = contact.end {
        write_statistics(world, writer, &contact, at);
    }
    writer.breathe()
}

fn count_cases(writer: &mut Writer<'_, '_>, contact: &Contact) {
    let customer = &contact.customer;
    if contact.queue.is_none() {
        writer.case(Case::NoQueue);
    }
    customer.difficulty.into_iter().for_each(|case| writer.case(case));
    match &contact.phone {
        None if contact.channel == "call" => writer.case(Case::NumberWithheld),
        None => {}
        Some(phone) => {
            if *phone != customer.phone(0) {
                writer.case(Case::PhoneSpelling);
            }
            if customer.shares_number {
                writer.case(Case::SharedNumber);
            }
        }
    }
    if contact.mail.as_ref().is_some_and(|mail| *mail != customer.mail(0)) {
        writer.case(Case::EmailSpelling);
    }
    if contact.agent.is_some_and(is_gone) {
        writer.case(Case::GoneReference);
    }
}

fn write_events(writer: &mut Writer<'_, '_>, contact: &Contact) {
    let address = contact.phone.as_ref().or(contact.mail.as_ref());
    let answered = contact.answered.unwrap_or(contact.last);
    let middle = answered + TimeDelta::seconds((contact.last - answered).num_seconds() / 2);
    let what =
        if contact.answered.is_some() { ["answered", "hold", "ended"] } else { ["waiting", "waiting", "abandoned"] };
    let events = [
        ("arrived", contact.started, answered),
        ("queued", contact.started + TimeDelta::seconds(1), answered),
        (what[0], answered, middle),
        (what[1], middle, contact.last),
        (what[2], contact.last, contact.last),
    ];
    for (number, (event, from, until)) in events.into_iter().enumerate() {
        let id = writer.next_id(Table::ContactEvents);
        let seconds = (until - from).num_seconds().max(0);
        let (agent, address) = (contact.agent.filter(|_| number > 1), address.filter(|_| number != 1).cloned());
        writer.push(Table::ContactEvents, row![id, contact.id, event, agent, address, from, seconds]);
    }
}

fn write_extras(world: &World, writer: &mut Writer<'_, '_>, contact: &mut Contact) {
    let random = &mut contact.random;
    if random.percent(20) {
        let id = writer.next_id(Table::InternalNotes);
        let note = (!random.percent(3))
            .then(|| format!("{} ({}) was told to call again.", contact.customer.name, contact.customer.phone(2)));
        let written = world.later(contact.last, random.between(5, 600));
        writer.push(Table::InternalNotes, row![id, contact.id, contact.agent, note, written]);
    }
    if random.percent(30) {
        let at = world.later(contact.started, random.between(1, 5));
        let number = (!random.percent(5)).then(|| format!("C-{:07}", contact.customer.id));
        writer.push(Table::AttachedData, row![contact.id, "customer_number", number, at]);
        if random.percent(50) {
            let at = world.later(at, 1);
            writer.push(Table::AttachedData, row![contact.id, "name", contact.customer.name.as_str(), at]);
        }
    }
    if contact.id % 25 == 3 {
        let id = writer.next_id(Table::AuditLog);
        let at = world.later(contact.last, random.between(60, 900));
        let value = contact.customer.phone(0);
        writer.push(
            Table::AuditLog,
            row![id, at, contact.agent, "agent", "update", "customer", contact.customer.id + 1, "phone", value],
        );
    }
}

fn write_statistics(world: &World, writer: &mut Writer<'_, '_>, contact: &Contact, end: NaiveDateTime) {
    let answered = contact.answered.unwrap_or(end);
    let (wait, talk) = ((answered - contact.started).num_seconds(), (end - answered).num_seconds());
    let archived = world.later(end, 86_400 + contact.id % 3_600);
    let login = contact.agent.map(login);
    writer.push(
        Table::ContactStatistics,
        row![
            contact.id,
            contact.channel,
            contact.queue,
            contact.agent,
            login,
            contact.phone.clone(),
            wait,
            talk,
            contact.started,
            archived
        ],
    );
}
