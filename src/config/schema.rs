//! The JSON Schema of the file (draft 2020-12), made from the types that read it.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Value, json};

use super::document::{
    Approvals, Brakes, Category, Diagnostics, Entry, Limits, Mail, Metrics, Pace, Person, ReportKeys, Roles, State,
    Store, Tenant,
};
use super::timing::Timing;
use super::trail::Trail;
use super::values::Zone;

/// The schema of the whole file; each kind of job brings that of its own keys.
pub fn json_schema(kinds: Vec<(&str, Schema)>) -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let named = |schema: Value| json!({ "type": "object", "additionalProperties": schema });
    let stores = named(of::<Store>(&mut generator));
    let tenants = named(of::<Tenant>(&mut generator));
    let people = named(of::<Person>(&mut generator));
    let categories = named(of::<Category>(&mut generator));
    let data = named(of::<Entry>(&mut generator));
    let mut definitions = serde_json::Map::new();
    let jobs: Vec<Value> = kinds.into_iter().map(|(kind, schema)| job(kind, schema, &mut definitions)).collect();
    let properties = json!({
        "timezone": of::<Zone>(&mut generator),
        "enabled": { "type": "boolean", "description": "`false` makes the whole file inert." },
        "include": { "type": "array", "items": { "type": "string" }, "description": "Further files, relative to this one." },
        "state": of::<State>(&mut generator),
        "mail": of::<Mail>(&mut generator),
        "metrics": of::<Metrics>(&mut generator),
        "approvals": of::<Approvals>(&mut generator),
        "brakes": of::<Brakes>(&mut generator),
        "pace": of::<Pace>(&mut generator),
        "limits": of::<Limits>(&mut generator),
        "trail": of::<Trail>(&mut generator),
        "diagnostics": of::<Diagnostics>(&mut generator),
        "report": of::<ReportKeys>(&mut generator),
        "roles": of::<Roles>(&mut generator),
        "stores": stores,
        "tenants": tenants,
        "people": people,
        "categories": categories,
        "data": data,
        "jobs": { "type": "object", "additionalProperties": { "oneOf": jobs } },
    });
    definitions.extend(generator.take_definitions(true));
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "retentiond jobs.toml",
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
        "$defs": definitions,
    })
}

fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    generator.subschema_for::<T>().to_value()
}

/// The keys of a kind, and those that every job has.
fn job(kind: &str, schema: Schema, definitions: &mut serde_json::Map<String, Value>) -> Value {
    let mut schema = schema.to_value();
    if let Some(object) = schema.as_object_mut() {
        object.remove("$schema");
        if let Some(Value::Object(own)) = object.remove("$defs") {
            definitions.extend(own);
        }
        if let Some(Value::Object(properties)) = object.get_mut("properties") {
            properties.insert("kind".to_owned(), json!({ "const": kind }));
            properties.insert("enabled".to_owned(), json!({ "type": "boolean" }));
            let mut generator = SchemaSettings::draft2020_12().into_generator();
            if let Some(Value::Object(timing)) = Timing::json_schema(&mut generator).to_value().get_mut("properties") {
                properties.append(timing);
            }
            definitions.extend(generator.take_definitions(true));
        }
        if let Some(Value::Array(required)) = object.get_mut("required") {
            required.push(json!("kind"));
        }
    }
    schema
}
