//! A template of `google.api.http` as a path of OpenAPI, whose parameters are one segment each: `{name=users/*}` is
//! `users/{user}`, named by the resource's pattern where there is one.

use std::collections::{BTreeMap, BTreeSet};

use prost_reflect::{DescriptorPool, FieldDescriptor, MessageDescriptor, Value};

use crate::{
    openapi::{
        node::Node,
        types::{Types, option},
    },
    percent,
    schema::{Binding, Piece, Template, Variable},
};

/// The patterns of resources, by their type (AIP-122, google/api/resource.proto).
#[derive(Debug, Default)]
pub(crate) struct Resources {
    patterns: BTreeMap<String, Vec<String>>,
    /// The first pattern of each shape, such as `users/*`.
    shapes: BTreeMap<String, String>,
}

impl Resources {
    pub(crate) fn of(pool: &DescriptorPool) -> Self {
        let patterns: BTreeMap<_, _> = pool.all_messages().filter_map(|message| resource(&message)).collect();
        let mut shapes = BTreeMap::new();
        for pattern in patterns.values().flatten() {
            let segments = pattern.split('/').map(|segment| variable(segment).map_or(segment, |_| "*"));
            shapes.entry(segments.collect::<Vec<_>>().join("/")).or_insert_with(|| pattern.clone());
        }
        Self { patterns, shapes }
    }

    /// Returns the patterns that the value of a field of this shape can have: its own, or else that of any resource.
    fn patterns(&self, field: &FieldDescriptor, shape: &str) -> Vec<String> {
        let reference = option(field.parent_pool(), &field.options(), "google.api.resource_reference");
        let referred = reference.as_ref().and_then(Value::as_message).into_iter().flat_map(|reference| {
            let named = ["type", "child_type"].into_iter().filter_map(|name| text(reference, name));
            named.filter_map(|name| self.patterns.get(&name)).flatten().cloned().collect::<Vec<_>>()
        });
        let own = resource(field.parent_message()).map(|(_, patterns)| patterns).unwrap_or_default();
        referred.chain(own).chain(self.shapes.get(shape).cloned()).collect()
    }
}

/// Names the wildcards of a binding's template, from left to right.
pub(crate) fn names(binding: &Binding, resources: &Resources) -> Vec<String> {
    let template = &binding.template;
    let mut names: Vec<String> = Vec::new();
    for (index, _) in wildcards(template) {
        let wanted = name(binding, resources, index);
        let taken = |name: &String| names.contains(name);
        let free = (2..).map(|number| format!("{wanted}_{number}"));
        let free = std::iter::once(wanted.clone()).chain(free).find(|name| !taken(name));
        names.push(free.expect("numbers do not end"));
    }
    names
}

/// Writes the path with these names for its wildcards.
pub(crate) fn write(template: &Template, names: &[String]) -> String {
    let mut names = names.iter();
    let pieces = template.pieces.iter().map(|piece| match piece {
        Piece::Literal(text) => percent::encode_segment(text),
        Piece::Single | Piece::Rest => format!("{{{}}}", names.next().map_or("segment", String::as_str)),
    });
    let path = pieces.collect::<Vec<_>>().join("/");
    let verb = template.verb.as_ref().map(|verb| format!(":{}", percent::encode_segment(verb))).unwrap_or_default();
    format!("/{path}{verb}")
}

/// Returns the parameters for the wildcards of a binding's template.
pub(crate) fn parameters(binding: &Binding, names: &[String], types: &mut Types) -> Vec<Node> {
    let template = &binding.template;
    let input = binding.method.descriptor.input();
    let all = wildcards(template).zip(names).map(|((index, piece), name)| {
        let variable = variable_at(template, index);
        let field = variable.and_then(|variable| crate::transcode::resolve(&input, &variable.field)?.pop());
        let whole = variable.is_some_and(|variable| variable.range(template.pieces.len()).len() == 1);
        let schema = match (&field, piece) {
            (_, Piece::Rest) => Node::map().with("type", "string"),
            (Some(field), _) if whole => one_segment(types.of_value(field)),
            _ => one_segment(Node::map().with("type", "string")),
        };
        let part = variable.filter(|_| !whole).map(|variable| {
            let value = shape(&template.pieces[variable.range(template.pieces.len())]);
            format!("A part of `{}`, which is `{value}`.", variable.field)
        });
        let about = part.into_iter().chain(field.as_ref().and_then(|field| types.about(field)));
        let rest = (*piece == Piece::Rest).then(|| "Takes all that is left of the path, slashes too.".to_owned());
        let about: Vec<String> = about.chain(rest).collect();
        Node::map()
            .with("name", name.as_str())
            .with("in", "path")
            .with("required", true)
            .with_some("description", (!about.is_empty()).then(|| about.join("\n\n")))
            .with("schema", schema)
    });
    all.collect()
}

/// Returns the fields that the path binds whole, as the proto spells them.
pub(crate) fn bound(binding: &Binding) -> BTreeSet<&str> {
    binding.template.variables.iter().map(|variable| variable.field.as_str()).collect()
}

/// A segment is never empty, and a slash in it would be another segment's.
fn one_segment(schema: Node) -> Node {
    let plain = Node::map().with("type", "string");
    if schema == plain { plain.with("pattern", "^[^/]+$") } else { schema }
}

fn wildcards(template: &Template) -> impl Iterator<Item = (usize, &Piece)> {
    template.pieces.iter().enumerate().filter(|(_, piece)| !matches!(piece, Piece::Literal(_)))
}

fn variable_at(template: &Template, index: usize) -> Option<&Variable> {
    let pieces = template.pieces.len();
    template.variables.iter().find(|variable| variable.range(pieces).contains(&index))
}

fn name(binding: &Binding, resources: &Resources, index: usize) -> String {
    let template = &binding.template;
    let Some(variable) = variable_at(template, index) else { return "segment".to_owned() };
    let range = variable.range(template.pieces.len());
    let field = crate::transcode::resolve(&binding.method.descriptor.input(), &variable.field)
        .and_then(|mut fields| fields.pop());
    if range.len() == 1 {
        return variable.field.clone();
    }
    if template.pieces[index] == Piece::Rest {
        return variable.field.rsplit('.').next().unwrap_or_default().to_owned();
    }
    let pieces = &template.pieces[range.clone()];
    let patterns = field.map(|field| resources.patterns(&field, &shape(pieces))).unwrap_or_default();
    let named = patterns.iter().find_map(|pattern| in_pattern(pattern, pieces, index - range.start));
    named.or_else(|| after_literal(&template.pieces, index)).unwrap_or_else(|| "segment".to_owned())
}

/// Returns the name that a pattern such as `users/{user}` has for a wildcard of pieces such as `users/*`.
fn in_pattern(pattern: &str, pieces: &[Piece], index: usize) -> Option<String> {
    let segments: Vec<&str> = pattern.split('/').collect();
    let same = |(segment, piece): (&&str, &Piece)| match piece {
        Piece::Literal(text) => text == segment,
        Piece::Single => variable(segment).is_some(),
        Piece::Rest => false,
    };
    let fits = segments.len() == pieces.len() && segments.iter().zip(pieces).all(same);
    fits.then(|| variable(segments[index]))?.filter(|name| is_name(name)).map(str::to_owned)
}

fn variable(segment: &str) -> Option<&str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

/// Writes pieces as `google.api.http` has them.
fn shape(pieces: &[Piece]) -> String {
    let texts = pieces.iter().map(|piece| match piece {
        Piece::Literal(text) => text.as_str(),
        Piece::Single => "*",
        Piece::Rest => "**",
    });
    texts.collect::<Vec<_>>().join("/")
}

/// Names a wildcard by what stands before it, in the singular: `users/*` is a `user`.
fn after_literal(pieces: &[Piece], index: usize) -> Option<String> {
    let Piece::Literal(text) = pieces.get(index.checked_sub(1)?)? else { return None };
    let singular = text.strip_suffix('s').filter(|short| !short.ends_with('s')).unwrap_or(text);
    is_name(singular).then(|| singular.to_owned())
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

fn resource(message: &MessageDescriptor) -> Option<(String, Vec<String>)> {
    let value = option(message.parent_pool(), &message.options(), "google.api.resource")?;
    let declared = value.as_message()?;
    let patterns = declared.get_field_by_name("pattern")?;
    let patterns = patterns.as_list()?.iter().filter_map(|pattern| Some(pattern.as_str()?.to_owned())).collect();
    Some((text(declared, "type")?, patterns))
}

fn text(message: &prost_reflect::DynamicMessage, name: &str) -> Option<String> {
    Some(message.get_field_by_name(name)?.as_str()?.to_owned())
}
