//! Path templates of `google.api.http`: which segments they ask for, and which of them a variable takes.

use std::ops::Range;

use http_path_template::{Grammar, ParseError, PathTemplate, Segment};

use crate::percent::{self, BadEscape};

/// A template, flat: variables are ranges over its segments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    pub(crate) pieces: Vec<Piece>,
    pub(crate) variables: Vec<Variable>,
    /// The text after `:`, decoded.
    pub(crate) verb: Option<String>,
}

/// What a template asks of one segment; [`Piece::Rest`] of any number of them, and it comes last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// This text, decoded.
    Literal(String),
    /// `*`: any text but the empty one.
    Single,
    /// `**`.
    Rest,
}

/// A field that a part of the path goes into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Variable {
    /// The path of the field, such as `user.name`.
    pub(crate) field: String,
    start: usize,
    /// Nothing if the variable takes the rest.
    end: Option<usize>,
    /// Whether it may take several segments, so that an encoded slash must stay encoded.
    several: bool,
}

impl Template {
    /// Reads a template.
    pub(crate) fn parse(text: &str) -> Result<Self, ParseError> {
        let parsed = PathTemplate::parse(text, Grammar::default())?;
        let mut template = Self { pieces: Vec::new(), variables: Vec::new(), verb: parsed.verb().map(literal) };
        for segment in parsed.segments() {
            match segment {
                Segment::Variable(variable) => {
                    let start = template.pieces.len();
                    template.pieces.extend(variable.segments().map(piece));
                    let open = template.pieces.last() == Some(&Piece::Rest);
                    let end = template.pieces.len();
                    template.variables.push(Variable {
                        field: variable.field_path().to_owned(),
                        start,
                        end: (!open).then_some(end),
                        several: open || end - start > 1,
                    });
                }
                other => template.pieces.push(piece(*other)),
            }
        }
        Ok(template)
    }

    /// Returns the same text for all templates that match the same paths.
    pub(crate) fn shape(&self) -> String {
        let pieces = self.pieces.iter().map(|piece| match piece {
            Piece::Literal(text) => text.as_str(),
            Piece::Single => "*",
            Piece::Rest => "**",
        });
        let verb = self.verb.as_ref().map(|verb| format!(":{verb}")).unwrap_or_default();
        format!("/{}{verb}", pieces.collect::<Vec<_>>().join("/"))
    }
}

impl Variable {
    /// Returns which pieces of its template, which has so many, the variable takes.
    pub(crate) fn range(&self, pieces: usize) -> Range<usize> {
        self.start..self.end.unwrap_or(pieces)
    }

    /// Returns the part of a matching path that the variable takes, decoded.
    pub(crate) fn capture(&self, segments: &[&str]) -> Result<String, BadEscape> {
        let end = self.end.unwrap_or(segments.len());
        let raw = segments.get(self.start..end).unwrap_or_default().join("/");
        if self.several { percent::decode_but_slash(&raw) } else { percent::decode(&raw) }
    }
}

fn piece(segment: Segment<'_>) -> Piece {
    match segment {
        Segment::Single => Piece::Single,
        Segment::Rest => Piece::Rest,
        Segment::Literal(text) => Piece::Literal(literal(text)),
        other => unreachable!("the strict grammar nests no {other:?}"),
    }
}

fn literal(text: &str) -> String {
    percent::decode(text).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn captured(template: &str, path: &str) -> Vec<(String, String)> {
        let template = Template::parse(template).unwrap();
        let segments: Vec<&str> = path.split('/').collect();
        template.variables.iter().map(|v| (v.field.clone(), v.capture(&segments).unwrap())).collect()
    }

    #[test]
    fn a_variable_takes_its_segments() {
        for (template, path, field, value) in [
            ("/v1/{name=users/*}", "v1/users/ann", "name", "users/ann"),
            ("/v1/{user.name=users/*}", "v1/users/ann", "user.name", "users/ann"),
            ("/v1/{id}/x", "v1/a%2Fb%20c/x", "id", "a/b c"),
            ("/v1/{id=*}/x", "v1/a%2Fb/x", "id", "a/b"),
            ("/v1/{name=a/*}", "v1/a/b%2Fc%20d", "name", "a/b%2Fc d"),
            ("/v1/{name=**}", "v1/a/b%2fc/d", "name", "a/b%2fc/d"),
            ("/v1/{name=**}", "v1", "name", ""),
            ("/{name=**}", "", "name", ""),
        ] {
            assert_eq!(captured(template, path), [(field.to_owned(), value.to_owned())], "{template} {path}");
        }
    }

    #[test]
    fn two_variables_take_their_own() {
        let both = captured("/v1/{parent=shelves/*}/books/{book}", "v1/shelves/1/books/2");
        assert_eq!(both, [("parent".into(), "shelves/1".into()), ("book".into(), "2".into())]);
    }

    #[test]
    fn templates_of_one_shape_match_the_same_paths() {
        let shape = |text: &str| Template::parse(text).unwrap().shape();
        assert_eq!(shape("/v1/{name=users/*}:undelete"), shape("/v1/users/{id}:undelete"));
        assert_ne!(shape("/v1/{name=users/**}"), shape("/v1/users/{id}"));
    }

    #[test]
    fn a_bad_template_is_an_error() {
        for bad in ["v1", "/v1//x", "/v1/{a", "/v1/{a=**}/x", "/v1/{a={b}}", "/v1/x:", "/v1/{}"] {
            assert!(Template::parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_can_break_it(text in "/?([a-z*{}=/:.%]{0,4}){0,8}|\\PC{0,40}", path in "\\PC{0,40}") {
            if let Ok(template) = Template::parse(&text) {
                _ = template.shape();
                let segments: Vec<&str> = path.split('/').collect();
                template.variables.iter().for_each(|variable| _ = variable.capture(&segments));
            }
        }
    }
}
