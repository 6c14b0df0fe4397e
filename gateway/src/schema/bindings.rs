//! The REST bindings of a method, read from its option `google.api.http`.

use std::sync::Arc;

use prost_reflect::{DynamicMessage, ExtensionDescriptor, FieldDescriptor, Kind, MessageDescriptor, Value};

use crate::schema::{method::Method, template::Template};

/// One way in which a method is reached by REST.
#[derive(Debug)]
pub(crate) struct Binding {
    /// The place among the bindings of its method: the first is 0.
    pub(crate) place: usize,
    /// The method of HTTP in upper case, or `*`.
    pub(crate) http: String,
    /// The template as it was written.
    pub(crate) text: String,
    pub(crate) template: Template,
    pub(crate) body: BodyRule,
    /// The field of the response that alone is answered.
    pub(crate) response_body: Option<FieldDescriptor>,
    pub(crate) method: Arc<Method>,
}

/// What the body of a request goes into.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum BodyRule {
    /// Nothing: there is no body.
    None,
    /// The whole request message (`body: "*"`).
    Whole,
    /// One field of it.
    Field(FieldDescriptor),
}

impl BodyRule {
    /// Returns the name of the field that the body goes into, if it is one field.
    pub(crate) fn place(&self) -> &str {
        match self {
            Self::Field(field) => field.name(),
            Self::None | Self::Whole => "",
        }
    }
}

/// Returns the bindings of a method, and why others of it cannot be served.
pub(crate) fn bindings(method: &Arc<Method>) -> (Vec<Binding>, Vec<String>) {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    let Some(rule) = http_rule(method) else { return (good, bad) };
    let more = list(&rule, "additional_bindings");
    for (place, rule) in std::iter::once(&rule).chain(&more).enumerate() {
        match binding(method, rule) {
            Ok(binding) => good.push(Binding { place, ..binding }),
            Err(why) => bad.push(format!("{}: {why}", method.path)),
        }
    }
    (good, bad)
}

fn http_rule(method: &Method) -> Option<DynamicMessage> {
    let extension: ExtensionDescriptor = method.descriptor.parent_pool().get_extension_by_name("google.api.http")?;
    let options = method.descriptor.options();
    let has = options.has_extension(&extension);
    let Value::Message(rule) = options.get_extension(&extension).into_owned() else { return None };
    has.then_some(rule)
}

fn binding(method: &Arc<Method>, rule: &DynamicMessage) -> Result<Binding, String> {
    let (http, path) = pattern(rule).ok_or("its google.api.http rule has no pattern")?;
    let template = Template::parse(&path).map_err(|error| format!("{http} {path}: {error}"))?;
    let input = method.descriptor.input();
    for variable in &template.variables {
        check_variable(&input, &variable.field).map_err(|why| format!("{http} {path}: {why}"))?;
    }
    let body = match text(rule, "body").as_str() {
        "" => BodyRule::None,
        "*" => BodyRule::Whole,
        name => BodyRule::Field(top_field(&input, name).map_err(|why| format!("{http} {path}: body: {why}"))?),
    };
    let response_body = match text(rule, "response_body").as_str() {
        "" => None,
        name => {
            let output = method.descriptor.output();
            Some(top_field(&output, name).map_err(|why| format!("{http} {path}: response_body: {why}"))?)
        }
    };
    Ok(Binding { place: 0, http, text: path, template, body, response_body, method: Arc::clone(method) })
}

/// Returns method of HTTP and path of a rule.
fn pattern(rule: &DynamicMessage) -> Option<(String, String)> {
    let verbs = ["get", "put", "post", "delete", "patch"];
    if let Some(verb) = verbs.into_iter().find(|verb| rule.has_field_by_name(verb)) {
        return Some((verb.to_uppercase(), text(rule, verb)));
    }
    let custom = rule.get_field_by_name("custom").filter(|_| rule.has_field_by_name("custom"))?;
    let custom = custom.as_message()?;
    Some((text(custom, "kind").to_uppercase(), text(custom, "path")))
}

fn text(message: &DynamicMessage, name: &str) -> String {
    message.get_field_by_name(name).and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn list(message: &DynamicMessage, name: &str) -> Vec<DynamicMessage> {
    let Some(field) = message.get_field_by_name(name) else { return Vec::new() };
    field.as_list().unwrap_or_default().iter().filter_map(Value::as_message).cloned().collect()
}

/// A variable must name a single scalar, through single messages (google/api/http.proto).
fn check_variable(message: &MessageDescriptor, path: &str) -> Result<(), String> {
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    let full = message.full_name();
    let field = message.get_field_by_name(name).ok_or_else(|| format!("{full} has no field {name}"))?;
    if field.is_list() || field.is_map() {
        return Err(format!("{name} of {full} is repeated"));
    }
    match (field.kind(), rest) {
        (Kind::Message(inner), Some(rest)) => check_variable(&inner, rest),
        (Kind::Message(_), None) => Err(format!("{name} of {full} is a message")),
        (_, Some(_)) => Err(format!("{name} of {full} is no message")),
        (_, None) => Ok(()),
    }
}

fn top_field(message: &MessageDescriptor, name: &str) -> Result<FieldDescriptor, String> {
    message.get_field_by_name(name).ok_or_else(|| format!("{} has no field {name}", message.full_name()))
}
