//! Users with all that belongs to an account, in four databases; queues and roles; requests for data.

use chrono::TimeDelta;

use super::DemoError;
use super::cases::Case;
use super::people::{User, is_gone, may_list, may_record, user};
use super::tables::{Table, Writer, row};
use super::world::{Keep, World};

/// The queues; the policy makes exceptions for some of them.
pub(super) const QUEUES: &[&str] = &["support", "sales", "claims", "billing", "booking", "complaints", "vip"];

const TITLES: &[&str] = &["Agent", "Senior agent", "Supervisor", "Team lead"];
const PRESENCES: &[&str] = &["working", "lunch", "training", "sick leave", "meeting"];
const DAY: i64 = 86_400;

/// Queues and roles: what users are assigned to.
pub(super) fn write_basics(world: &World, writer: &mut Writer<'_, '_>) {
    for (number, queue) in (0..).zip(QUEUES) {
        writer
            .push(Table::Queues, row![*queue, format!("Queue {queue}"), "any", world.start - TimeDelta::days(number)]);
    }
    for (id, role) in (1_i64..).zip(["agent", "supervisor", "administrator", "data protection officer"]) {
        writer.push(Table::Roles, row![id, role]);
    }
}

/// All users.
pub(super) fn write_users(world: &World, writer: &mut Writer<'_, '_>) -> Result<(), DemoError> {
    for id in 1..=world.users {
        let user = user(world.seed, id);
        write_account(world, writer, &user);
        write_work(world, writer, &user);
        writer.breathe()?;
    }
    Ok(())
}

fn write_account(world: &World, writer: &mut Writer<'_, '_>, user: &User) {
    let mut random = world.random("account", user.id);
    let created = world.some_time(&mut random);
    let title = random.pick(TITLES);
    writer.push(Table::UserNames, row![user.id, user.first, user.last, world.later(created, 5)]);
    if may_list(user.id) || user.id % 2 == 0 {
        if !may_list(user.id) {
            writer.case(Case::DirectorySwitchedOff);
        }
        let id = writer.next_id(Table::DirectoryUsers);
        let updated = world.later(created, random.between(60, 90 * DAY));
        let (phone, email) = (user.phone.as_str(), user.email.as_str());
        writer.push(
            Table::DirectoryUsers,
            row![id, user.id, user.first, user.last, phone, email, title, "Customers from A to Ö", updated],
        );
    }
    if is_gone(user.id) {
        writer.case(Case::DeletedUser);
        if user.id % 20 != 0 {
            return;
        }
        writer.case(Case::LeftRelation);
    } else {
        let seen = random.percent(90).then(|| world.later(created, random.between(DAY, 900 * DAY)));
        let (recording, directory) = (may_record(user.id), may_list(user.id));
        let login = user.login.as_str();
        writer.push(
            Table::Users,
            row![user.id, login, user.first, user.last, title, recording, directory, created, seen],
        );
    }
    let addresses =
        [("email", user.email.clone()), ("phone", user.phone.clone()), ("sip", format!("sip:{}", user.email))];
    for (kind, address) in addresses {
        let id = writer.next_id(Table::UserAddresses);
        writer.push(Table::UserAddresses, row![id, user.id, kind, address, world.later(created, 60 + id % 7)]);
    }
    for queue in QUEUES.iter().skip(random.below(3).unsigned_abs() as usize).step_by(3) {
        let since = world.later(created, random.between(120, DAY));
        writer.push(Table::QueueMembers, row![*queue, user.id, random.between(1, 5), since]);
    }
    writer.push(Table::UserRoles, row![user.id, 1 + i64::from(user.id % 8 == 0), world.later(created, 180)]);
    for (name, value) in [("language", Some("fi")), ("ring_tone", None), ("signature", Some(user.first))] {
        writer.push(
            Table::UserSettings,
            row![user.id, name, value, world.later(created, random.between(300, 400 * DAY))],
        );
    }
    let id = writer.next_id(Table::AuditLog);
    let created = world.later(created, 1);
    let actor = 1 + random.below(world.users);
    writer.push(
        Table::AuditLog,
        row![id, created, actor, "administrator", "insert", "user", user.id, "login_id", user.login.as_str()],
    );
}

/// What a user did: presences, live states, intervals, work time.
fn write_work(world: &World, writer: &mut Writer<'_, '_>, user: &User) {
    let mut random = world.random("work", user.id);
    for number in 0..20 {
        let id = writer.next_id(Table::Presences);
        let from = world.along(number, 20) + TimeDelta::seconds(random.below(60 * DAY));
        let until = world.later(from, random.between(600, DAY));
        writer.push(Table::Presences, row![id, user.id, random.pick(PRESENCES), from.min(until), until]);
    }
    if user.id % 3 == 0 {
        writer.case(Case::LastingPresence);
        let id = writer.next_id(Table::Presences);
        let since = world.now - TimeDelta::seconds(random.between(60, DAY));
        writer.push(Table::Presences, row![id, user.id, "working", since, forever()]);
    }
    for number in 0..5 {
        let id = writer.next_id(Table::LiveAgents);
        let never = user.id % 13 == 6 && number == 0;
        if never {
            writer.case(Case::NeverUpdated);
        }
        let since = world.now.and_utc().timestamp() - random.between(10, 7 * DAY);
        let updated = if never { 0 } else { since + random.below(10) };
        let caller = random.percent(40).then(|| world.customer(random.below(world.customers)).phone(0));
        let login = user.login.as_str();
        writer.push(Table::LiveAgents, row![id, user.id, login, random.pick(PRESENCES), caller, since, updated]);
    }
    for number in 0..24 {
        let start = world.along(number, 24) + TimeDelta::seconds(random.below(75 * DAY) / 1_800 * 1_800);
        let (start, login) = (start.min(world.now - TimeDelta::seconds(1_800)), user.login.as_str());
        let id = writer.next_id(Table::AgentIntervals);
        let (contacts, talk) = (random.between(0, 12), random.between(0, 1_800));
        let counted = world.later(start, 1_860);
        writer.push(Table::AgentIntervals, row![id, user.id, login, start, contacts, talk, counted]);
        let id = writer.next_id(Table::AgentWorkTime);
        let name = format!("{} {}", user.first, user.last);
        let (presence, seconds) = (random.pick(PRESENCES), random.between(60, 28_800));
        let archived = world.later(start, 2 * DAY);
        writer.push(Table::AgentWorkTime, row![id, user.id, name, presence, seconds, start, archived]);
    }
}

fn forever() -> chrono::NaiveDateTime {
    // In range for every database; the policy names it as a sentinel.
    chrono::NaiveDate::from_ymd_opt(9999, 12, 31).unwrap_or_default().and_time(chrono::NaiveTime::MIN)
}

/// Live states of queues, counts per interval, requests for data, and rows at the cutoffs of these tables.
pub(super) fn write_rest(world: &World, writer: &mut Writer<'_, '_>) -> Result<(), DemoError> {
    let mut random = world.random("rest", 0);
    for (number, queue) in (0..).zip(QUEUES) {
        for hour in 0..120 {
            let id = writer.next_id(Table::LiveQueues);
            let caller = random.percent(30).then(|| world.customer(random.below(world.customers)).phone(0));
            let updated = world.now.and_utc().timestamp() - hour * 3_600 - number;
            let oldest = updated - random.below(600);
            writer.push(Table::LiveQueues, row![id, *queue, random.below(20), caller, oldest, updated]);
        }
        for week in 0..260 {
            for channel in ["call", "email", "chat"] {
                let start = world.start + TimeDelta::days(7 * week);
                let (offered, answered, talk) = (random.between(20, 90), random.between(5, 20), random.below(30_000));
                let counted = world.later(start, 1_860);
                let abandoned = offered - answered;
                writer.push(
                    Table::ContactIntervals,
                    row![*queue, channel, start, offered, answered, abandoned, talk, counted],
                );
            }
        }
        writer.breathe()?;
    }
    write_requests(world, writer);
    write_edges(world, writer);
    Ok(())
}

fn write_requests(world: &World, writer: &mut Writer<'_, '_>) {
    for number in 0..(8 + world.contacts / 10_000) {
        let mut random = world.random("request", number);
        let asked = world.some_time(&mut random);
        let answered = (number % 4 != 1).then(|| world.later(asked, random.between(DAY, 29 * DAY)));
        if answered.is_none() {
            writer.case(Case::OpenRequest);
        }
        let customer = world.customer(random.below(world.customers));
        let (uuid, by) = (random.uuid(), 1 + random.below(world.users));
        writer.push(
            Table::PrivacyRequests,
            row![uuid, "customer", "email", customer.mail(0), by, asked, asked + TimeDelta::days(30), answered],
        );
    }
}

fn write_edges(world: &World, writer: &mut Writer<'_, '_>) {
    for at in world.around_cutoff(Keep::Months(36)) {
        let counted = at + TimeDelta::seconds(1_860);
        writer.push(Table::ContactIntervals, row!["night", "call", at, 3_i64, 2_i64, 1_i64, 240_i64, counted]);
        let id = writer.next_id(Table::AgentIntervals);
        writer.push(Table::AgentIntervals, row![id, 1_i64, super::people::login(1), at, 4_i64, 900_i64, counted]);
        let id = writer.next_id(Table::AgentWorkTime);
        let archived = at + TimeDelta::days(2);
        writer.push(Table::AgentWorkTime, row![id, 1_i64, "At the cutoff", "working", 60_i64, at, archived]);
        (0..3).for_each(|_| writer.case(Case::AtCutoff));
    }
    for at in world.around_cutoff(Keep::Months(12)) {
        let id = writer.next_id(Table::Presences);
        writer.push(Table::Presences, row![id, 1_i64, "meeting", at - TimeDelta::hours(1), at]);
        let id = writer.next_id(Table::ListeningLog);
        writer.push(Table::ListeningLog, row![id, 1_i64, 2_i64, at, 30_i64, "quality check"]);
        (0..2).for_each(|_| writer.case(Case::AtCutoff));
    }
    for at in world.around_cutoff(Keep::Days(2)) {
        let id = writer.next_id(Table::LiveQueues);
        let (at, nobody) = (at.and_utc().timestamp(), None::<String>);
        writer.push(Table::LiveQueues, row![id, "night", 0_i64, nobody, at - 5, at]);
        writer.case(Case::AtCutoff);
    }
}
