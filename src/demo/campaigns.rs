//! Customers in the directory with their consents, and outbound campaigns, finished and running.

use chrono::{NaiveDateTime, TimeDelta};

use super::DemoError;
use super::cases::Case;
use super::people::is_gone;
use super::tables::{Table, Writer, row};
use super::world::{Keep, World};

const DAY: i64 = 86_400;

/// Directory entries of three customers in five, with two consents each.
pub(super) fn write_customers(world: &World, writer: &mut Writer<'_, '_>) -> Result<(), DemoError> {
    for number in 0..world.customers {
        let customer = world.customer(number);
        if customer.difficulty.is_none() && number % 5 > 2 {
            continue;
        }
        let mut random = world.random("directory", number);
        let id = writer.next_id(Table::DirectoryCustomers);
        let created = world.some_time(&mut random);
        let company = random.percent(30).then(|| format!("Company {} Oy", number / 3));
        let note = random.percent(10).then(|| format!("{} prefers to be written to", customer.name));
        let (phone, email) = (customer.phone(random.below(6)), customer.mail(random.below(6)));
        let updated = world.later(created, random.between(DAY, 700 * DAY));
        writer.push(
            Table::DirectoryCustomers,
            row![id, customer.name.as_str(), phone, email, company, note, created, updated],
        );
        for purpose in ["recording", "marketing"] {
            let consent = writer.next_id(Table::Consents);
            let given = (!random.percent(10)).then(|| random.percent(80));
            let asked = world.later(created, random.between(10, 60));
            let withdrawn =
                (given == Some(true) && random.percent(6)).then(|| world.later(asked, random.between(DAY, 400 * DAY)));
            writer.push(Table::Consents, row![consent, id, purpose, given, asked, withdrawn]);
        }
        writer.breathe()?;
    }
    Ok(())
}

/// Campaigns with their customers and calls.
pub(super) fn write_campaigns(world: &World, writer: &mut Writer<'_, '_>) -> Result<(), DemoError> {
    let number = (world.contacts / 2_000).clamp(8, 2_000);
    let size = (world.contacts / 10 / number).max(12);
    for campaign in 0..number {
        let mut random = world.random("campaign", campaign);
        let started = world.along(campaign, number) + TimeDelta::seconds(random.below(20 * DAY));
        let finished = started + TimeDelta::seconds(random.between(30 * DAY, 120 * DAY));
        let runs = campaign % 7 == 3 || finished >= world.now;
        if runs {
            writer.case(Case::RunningCampaign);
        }
        let started = started.min(world.now - TimeDelta::seconds(2 * DAY));
        write_campaign(world, writer, campaign, size, started, (!runs).then_some(finished))?;
    }
    for (campaign, at) in (number..).zip(world.around_cutoff(Keep::Months(6))) {
        writer.case(Case::AtCutoff);
        write_campaign(world, writer, campaign, 5, at - TimeDelta::days(60), Some(at))?;
    }
    Ok(())
}

fn write_campaign(
    world: &World,
    writer: &mut Writer<'_, '_>,
    campaign: i64,
    size: i64,
    started: NaiveDateTime,
    finished: Option<NaiveDateTime>,
) -> Result<(), DemoError> {
    let mut random = world.random("campaign customers", campaign);
    let code = format!("CMP-{campaign:05}");
    let until = finished.unwrap_or(world.now);
    let (status, owner) = (if finished.is_some() { "finished" } else { "running" }, 1 + random.below(world.users));
    let title = format!("{} {campaign}", random.pick(&["Survey", "Renewal", "Spring offer", "Tärkeä asia"]));
    writer.push(Table::Campaigns, row![code.as_str(), title, status, owner, started, finished]);
    for _ in 0..size {
        let customer = world.customer(random.below(world.customers));
        let id = writer.next_id(Table::CampaignCustomers);
        let (phone, email) = (customer.phone(random.below(6)), random.percent(60).then(|| customer.mail(0)));
        let added = started - TimeDelta::seconds(random.between(60, 5 * DAY));
        writer.push(Table::CampaignCustomers, row![id, code.as_str(), customer.name.as_str(), phone, email, added]);
        let reach = (until - started).num_seconds().max(1);
        for _ in 0..random.below(4) {
            let call = writer.next_id(Table::CampaignCalls);
            let agent = 1 + random.below(world.users);
            if is_gone(agent) {
                writer.case(Case::GoneReference);
            }
            let called = started + TimeDelta::seconds(random.below(reach));
            let outcome = random.pick(&["reached", "busy", "no answer", "refused"]);
            let note = random.percent(15).then(|| format!("{} asked not to be called at work", customer.name));
            writer.push(Table::CampaignCalls, row![call, code.as_str(), id, agent, called, outcome, note]);
        }
        writer.breathe()?;
    }
    Ok(())
}
