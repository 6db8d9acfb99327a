//! What hangs on a contact by its channel: recordings with files, e-mails with attachments, chats with transcripts.

use chrono::TimeDelta;

use super::DemoError;
use super::cases::Case;
use super::contacts::Contact;
use super::people::may_record;
use super::tables::{Table, Writer, row};
use super::voice::Voice;
use super::world::World;

const DAY: i64 = 86_400;
const LINES: &[&str] = &[
    "Good morning, my name is {name}.",
    "My order has not arrived.",
    "You can reach me at {phone}.",
    "Let me look that up for you.",
    "It left our warehouse yesterday.",
    "Thank you, have a nice day!",
];

pub(super) fn write_channel(
    world: &World,
    writer: &mut Writer<'_, '_>,
    voice: &mut Voice<'_>,
    contact: &mut Contact,
) -> Result<(), DemoError> {
    match contact.channel {
        "call" => write_recording(world, writer, voice, contact),
        "email" => {
            write_emails(world, writer, contact);
            Ok(())
        }
        _ => {
            write_chat(writer, contact);
            Ok(())
        }
    }
}

fn write_recording(
    world: &World,
    writer: &mut Writer<'_, '_>,
    voice: &mut Voice<'_>,
    contact: &mut Contact,
) -> Result<(), DemoError> {
    let (Some(agent), Some(answered)) = (contact.agent.or(contact.recorded.map(|_| 1)), contact.answered) else {
        return Ok(());
    };
    // 44 % of the answered ones are 40 % of all.
    if !contact.random.percent(44) && contact.recorded.is_none() {
        return Ok(());
    }
    let id = writer.next_id(Table::Recordings);
    let recorded = contact.recorded.unwrap_or(answered + TimeDelta::seconds(2));
    let consent = match contact.random.below(100) {
        _ if contact.recorded.is_some() => Some(true),
        0..4 => None,
        4..8 => Some(false),
        _ => Some(true),
    };
    match consent {
        None => writer.case(Case::ConsentMissing),
        Some(false) => writer.case(Case::ConsentRefused),
        Some(true) => {}
    }
    if !may_record(agent) {
        writer.case(Case::RecordingSwitchedOff);
    }
    let path = format!("{}/{id:09}.wav", recorded.format("%Y/%m/%d"));
    if id % 47 == 5 {
        writer.case(Case::MissingFile);
    } else {
        voice.write(&path)?;
    }
    if id % 201 == 8 {
        writer.case(Case::OrphanFile);
        voice.write(&format!("{}/orphan-{id:09}.wav", recorded.format("%Y/%m/%d")))?;
    }
    let seconds = (contact.last - recorded).num_seconds().max(1);
    writer.push(Table::Recordings, row![id, contact.id, agent, path, seconds, consent, recorded]);
    if id % 10 == 6 {
        let log = writer.next_id(Table::ListeningLog);
        let listened = world.later(contact.last, contact.random.between(3_600, 30 * DAY));
        let (user, heard) = (1 + contact.random.below(world.users), contact.random.between(1, seconds));
        let reason = contact.random.percent(60).then_some("training");
        writer.push(Table::ListeningLog, row![log, id, user, listened, heard, reason]);
    }
    Ok(())
}

fn write_emails(world: &World, writer: &mut Writer<'_, '_>, contact: &mut Contact) {
    let (customer, random) = (&contact.customer, &mut contact.random);
    let centre = format!("{}@centre.example", contact.queue.unwrap_or("info"));
    let id = writer.next_id(Table::Emails);
    let message = format!("<{id}.{:016x}@mail.example>", random.number());
    let subject = format!("Question of {}", customer.name);
    let body = format!(
        "Hello,\nmy order has not arrived. Please call {}.\n\nBest regards\n{}",
        customer.phone(0),
        customer.name
    );
    let reply_to = random.percent(10).then(|| customer.mail(1));
    let received = contact.started + TimeDelta::seconds(2);
    let sent = contact.started - TimeDelta::seconds(random.between(5, 90));
    let from = contact.mail.clone();
    writer.push(
        Table::Emails,
        row![id, contact.id, message, from, reply_to, centre.as_str(), subject.as_str(), body, received, sent],
    );
    for number in 0..random.below(3) {
        let attachment = writer.next_id(Table::EmailAttachments);
        let (name, kind) = [("invoice.pdf", "application/pdf"), ("kuva ü.jpg", "image/jpeg")][usize::from(number == 1)];
        let content = format!("{name} of {}", customer.name);
        let stored = received + TimeDelta::seconds(1 + number);
        writer.push(Table::EmailAttachments, row![attachment, id, name, kind, content, stored]);
    }
    if random.percent(50) && contact.answered.is_some() {
        let id = writer.next_id(Table::Emails);
        let message = format!("<{id}.{:016x}@centre.example>", random.number());
        let body = format!("Dear {},\nit is on its way.", customer.name);
        let (to, sent) = (customer.mail(0), world.later(contact.last, 1));
        let nobody = None::<String>;
        writer.push(
            Table::Emails,
            row![id, contact.id, message, centre, nobody, to, format!("Re: {subject}"), body, contact.last, sent],
        );
    }
}

fn write_chat(writer: &mut Writer<'_, '_>, contact: &mut Contact) {
    let (customer, random) = (&contact.customer, &mut contact.random);
    let chat = random.uuid();
    let opened = contact.started + TimeDelta::seconds(1);
    let closed = contact.answered.map(|_| contact.last - TimeDelta::seconds(1));
    let nickname = random.percent(80).then(|| customer.name.clone());
    writer.push(Table::Chats, row![chat.as_str(), contact.id, nickname, customer.ip.as_str(), opened, closed]);
    for (number, line) in (0..).zip(LINES.iter().take(random.between(3, 6).unsigned_abs() as usize)) {
        let id = writer.next_id(Table::ChatTranscripts);
        let author = if number < 3 { customer.name.as_str() } else { "agent" };
        let said = opened + TimeDelta::seconds(number * 17);
        let line = line.replace("{name}", &customer.name).replace("{phone}", &customer.phone(2));
        writer.push(Table::ChatTranscripts, row![id, chat.as_str(), author, said, line]);
    }
}
