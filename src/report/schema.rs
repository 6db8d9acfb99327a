//! The JSON Schema of a report (draft 2020-12), made from the model that every format is written from.

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::model::Report;

/// The published schema.
pub fn json_schema() -> Value {
    let schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Report>();
    let mut schema = schema.to_value();
    close(&mut schema);
    if let Some(object) = schema.as_object_mut() {
        object.insert("$id".to_owned(), json!("urn:retentiond:report:1"));
        object.insert("title".to_owned(), json!("retentiond personal data report"));
    }
    schema
}

/// An object has the keys that are described and no others.
fn close(value: &mut Value) {
    match value {
        Value::Object(object) => {
            if object.contains_key("properties") && !object.contains_key("additionalProperties") {
                object.insert("additionalProperties".to_owned(), Value::Bool(false));
            }
            object.values_mut().for_each(close);
        }
        Value::Array(list) => list.iter_mut().for_each(close),
        _ => {}
    }
}
