use serde_json::{Map, Value};

use crate::{FunctionName, JsonKind};

/// What the assistant is told of a function: its name, what it does, and its parameters as a JSON Schema object.
#[derive(Debug, Clone, PartialEq)]
pub struct FunctionSignature {
    name: FunctionName,
    description: String,
    parameters: Map<String, Value>,
}

/// A schema of parameters that is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FunctionSignatureError {
    /// The schema is not a JSON object.
    #[error("`parameters` must be a JSON Schema object, found {0}")]
    NotAnObject(&'static str),
    /// `type` is not `object`.
    #[error("`parameters.type` must be \"object\"")]
    NotOfTypeObject,
    /// `properties` is not an object of schemas.
    #[error("`parameters.properties` must map each parameter to a schema object; `{0}` does not")]
    BadProperty(String),
    /// `required` is not a list of the names of properties.
    #[error("`parameters.required` must list names of `parameters.properties`; `{0}` is not one")]
    BadRequired(String),
}

impl FunctionSignature {
    /// Checks the shape of the schema and builds the signature.
    ///
    /// A missing `type`, `properties` or `required` is filled in (`object`, none, none). That every property is a valid
    /// JSON Schema is for admission to check: it needs a validator.
    ///
    /// # Errors
    /// When the schema is not an object, is not of type `object`, or when `properties` or `required` are malformed.
    pub fn new(name: FunctionName, description: String, parameters: Value) -> Result<Self, FunctionSignatureError> {
        let Value::Object(mut parameters) = parameters else {
            return Err(FunctionSignatureError::NotAnObject(JsonKind::of(&parameters).with_article()));
        };
        if parameters.entry("type").or_insert_with(|| "object".into()) != "object" {
            return Err(FunctionSignatureError::NotOfTypeObject);
        }
        let properties = parameters.entry("properties").or_insert_with(|| Value::Object(Map::new())).clone();
        let Value::Object(properties) = properties else {
            return Err(FunctionSignatureError::BadProperty("properties".into()));
        };
        if let Some((name, _)) = properties.iter().find(|(_, schema)| !schema.is_object()) {
            return Err(FunctionSignatureError::BadProperty(name.clone()));
        }
        let required = parameters.entry("required").or_insert_with(|| Value::Array(Vec::new()));
        let Value::Array(required) = required else {
            return Err(FunctionSignatureError::BadRequired(required.to_string()));
        };
        let unknown = required.iter().find(|name| !name.as_str().is_some_and(|name| properties.contains_key(name)));
        if let Some(unknown) = unknown {
            return Err(FunctionSignatureError::BadRequired(unknown.to_string()));
        }
        Ok(Self { name, description, parameters })
    }

    /// Returns the name.
    pub fn name(&self) -> &FunctionName {
        &self.name
    }

    /// Returns what the function does, in the words of its author.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// Returns the JSON Schema of the arguments; `type`, `properties` and `required` are present.
    pub fn parameters(&self) -> &Map<String, Value> {
        &self.parameters
    }

    /// Returns the names of the parameters with whether each is required, in the order of the schema.
    pub fn parameter_names(&self) -> impl Iterator<Item = (&str, bool)> {
        let required = self.parameters.get("required").and_then(Value::as_array);
        let is_required = move |name: &str| required.is_some_and(|list| list.iter().any(|item| item == name));
        self.parameters
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flat_map(|properties| properties.keys())
            .map(move |name| (name.as_str(), is_required(name)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(parameters: Value) -> Result<FunctionSignature, FunctionSignatureError> {
        FunctionSignature::new("f".parse().unwrap(), String::new(), parameters)
    }

    #[test]
    fn required_is_kept() {
        let schema = json!({"properties": {"a": {"type": "integer"}, "b": {}}, "required": ["a"]});
        let signature = check(schema).unwrap();
        assert_eq!(signature.parameter_names().collect::<Vec<_>>(), [("a", true), ("b", false)]);
        assert_eq!(signature.parameters()["type"], "object");
    }

    #[test]
    fn what_is_not_a_schema_object_is_refused() {
        for bad in [
            json!("{}"),
            json!([]),
            json!({"type": "array"}),
            json!({"properties": {"a": "integer"}}),
            json!({"properties": []}),
            json!({"properties": {}, "required": ["a"]}),
            json!({"required": "a"}),
        ] {
            assert!(check(bad.clone()).is_err(), "{bad}");
        }
    }
}
