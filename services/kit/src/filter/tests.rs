//! The grammar, by tables and properties.

use proptest::{collection::vec, prelude::*, sample::select};

use super::{
    condition::{Comparator, Comparison, Operand},
    *,
};
use crate::field::{Field, Kind};

/// What the tests filter and order.
#[derive(Clone, Debug)]
pub(crate) struct Thing {
    pub(crate) seq: i64,
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) code: String,
    pub(crate) size: i64,
    pub(crate) made: i64,
    pub(crate) words: Vec<String>,
}

pub(crate) const FIELDS: [Field; 6] = [
    Field::unique("name", "id", Kind::Name { collection: "things" }),
    Field::new("title", "title", Kind::Text),
    Field::unique("code", "code", Kind::Folded),
    Field::new("shape.size", "size", Kind::Int),
    Field::new("made", "made", Kind::Time),
    Field::new("words", "thing", Kind::Texts { table: "thing_words", text: "word" }),
];

/// Says whether a condition is true of a thing, as SQL must.
pub(crate) fn holds(condition: &Condition, thing: &Thing) -> bool {
    match condition {
        Condition::All(parts) => parts.iter().all(|part| holds(part, thing)),
        Condition::Any(parts) => parts.iter().any(|part| holds(part, thing)),
        Condition::Not(inner) => !holds(inner, thing),
        Condition::Is(Comparison { field, comparator, operand }) => match (field.column, operand) {
            ("size", Operand::Int(number)) => compared(&thing.size, *comparator, number),
            ("made", Operand::Int(number)) => compared(&thing.made, *comparator, number),
            ("thing", Operand::Text(text)) => thing.words.contains(text),
            (column, operand) => words(text_of(thing, column), *comparator, operand),
        },
    }
}

pub(crate) fn text_of<'a>(thing: &'a Thing, column: &str) -> &'a String {
    match column {
        "id" => &thing.id,
        "title" => &thing.title,
        _ => &thing.code,
    }
}

fn words(text: &String, comparator: Comparator, operand: &Operand) -> bool {
    match operand {
        Operand::Text(other) => compared(text, comparator, other),
        Operand::Prefix(prefix) => text.starts_with(prefix.as_str()) != (comparator == Comparator::Unequal),
        Operand::Int(_) => unreachable!("a text is compared with texts"),
    }
}

fn compared<T: Ord>(value: &T, comparator: Comparator, other: &T) -> bool {
    match comparator {
        Comparator::Equal => value == other,
        Comparator::Unequal => value != other,
        Comparator::Less => value < other,
        Comparator::LessOrEqual => value <= other,
        Comparator::Greater => value > other,
        Comparator::GreaterOrEqual => value >= other,
        Comparator::Has => unreachable!("a single value has nothing"),
    }
}

fn comparator() -> impl Strategy<Value = Comparator> {
    let of_order = [Comparator::Less, Comparator::LessOrEqual, Comparator::Greater, Comparator::GreaterOrEqual];
    prop_oneof![select(&[Comparator::Equal, Comparator::Unequal]), select(of_order.to_vec())]
}

fn comparison() -> impl Strategy<Value = Comparison> {
    let text = |field: usize, pattern: &'static str| {
        let exact = (comparator(), pattern.prop_map(Operand::Text));
        let starred = (select(&[Comparator::Equal, Comparator::Unequal]), pattern.prop_map(Operand::Prefix));
        prop_oneof![exact, starred].prop_map(move |(comparator, operand)| (field, comparator, operand))
    };
    let made = (comparator(), 0..MOST_MADE).prop_map(|(comparator, micros)| (4, comparator, Operand::Int(micros)));
    let size = (comparator(), -3_i64..4).prop_map(|(comparator, size)| (3, comparator, Operand::Int(size)));
    let has = TEXT.prop_map(|word| (5, Comparator::Has, Operand::Text(word)));
    let any = prop_oneof![text(0, "[a-c]{1,2}"), text(1, TEXT), text(2, "[a-c]{0,2}"), size, made, has];
    any.prop_map(|(field, comparator, operand)| Comparison { field: FIELDS[field], comparator, operand })
}

/// Few, so that some are equal, and with all that a filter or SQL might take for something else.
pub(crate) const TEXT: &str = "[ab%_*\"'\\\\é\u{10ffff}]{0,2}";
/// Times of things.
pub(crate) const MOST_MADE: i64 = 20;

/// Any condition of at most 27 comparisons.
pub(crate) fn condition() -> impl Strategy<Value = Condition> {
    comparison().prop_map(Condition::Is).prop_recursive(3, 27, 3, |inner| {
        let several = || vec(inner.clone(), 2..=3);
        let all = several().prop_map(Condition::All);
        prop_oneof![all, several().prop_map(Condition::Any), inner.prop_map(|inner| Condition::Not(Box::new(inner)))]
    })
}

fn read(filter: &str) -> Result<Option<Condition>, String> {
    parse(filter, &FIELDS)
}

#[test]
fn a_filter_means_what_the_grammar_says() {
    for (filter, means) in [
        ("title = \"a\"", "title = \"a\""),
        ("title=a", "title = \"a\""),
        ("  title  =  'a \"b\" \\'c\\''  ", "title = \"a \\\"b\\\" 'c'\""),
        ("title:a", "title = \"a\""),
        ("title = Lo*", "title = \"Lo*\""),
        ("title = \"Lo\\*\"", "title = \"Lo\\*\""),
        ("title:*", "title = \"*\""),
        ("title = AND", "title = \"AND\""),
        ("code = \"ADA@Example.com\"", "code = \"ada@example.com\""),
        ("name = \"things/a\"", "name = \"things/a\""),
        ("name > things/b", "name > \"things/b\""),
        ("name = things/*", "name = \"things/*\""),
        ("shape.size >= -5", "shape.size >= -5"),
        ("made < 2026-01-31T13:00:00.5+01:00", "made < \"2026-01-31T12:00:00.500Z\""),
        ("words:wood", "words : \"wood\""),
        ("-title = a", "NOT title = \"a\""),
        ("NOT title = a", "NOT title = \"a\""),
        ("NOT(title = a)", "NOT title = \"a\""),
        ("((title = a))", "title = \"a\""),
        // OR binds closer than AND.
        ("title = a AND code = b OR code = c", "title = \"a\" AND (code = \"b\" OR code = \"c\")"),
        ("title = a OR code = b AND code = c", "(title = \"a\" OR code = \"b\") AND code = \"c\""),
        ("title = a code = b", "title = \"a\" AND code = \"b\""),
        ("title = a -code = b", "title = \"a\" AND (NOT code = \"b\")"),
        ("title=a(code=b)", "functions"),
        ("(title = a AND code = b) OR code = c", "(title = \"a\" AND code = \"b\") OR code = \"c\""),
        ("NOT (title = a OR code = b)", "NOT (title = \"a\" OR code = \"b\")"),
    ] {
        let told = read(filter).map_or_else(|refusal| refusal, |found| found.unwrap().to_string());
        assert!(told == means || (read(filter).is_err() && told.contains(means)), "{filter}: {told}");
    }
    assert_eq!((read(""), read("  ")), (Ok(None), Ok(None)));
}

#[test]
fn a_wrong_filter_is_refused_with_its_place_and_what_may_stand_there() {
    let fields = "name, title, code, shape.size, made, words";
    for (filter, at, told) in [
        ("colour = red", 1, fields),
        ("title = a AND colour = red", 15, fields),
        ("Title = a", 1, fields),
        ("shape = 1", 1, fields),
        ("shape.size.x = 1", 1, fields),
        ("title", 6, "= != < <= > >= :"),
        ("title a", 7, "= != < <= > >= :"),
        ("title == a", 8, "a value"),
        ("title = ", 9, "a value"),
        ("title = \"a", 9, "never closed"),
        ("title = 'a\\x'", 11, "backslash"),
        ("title = a*b", 11, "star"),
        ("title = **", 10, "star"),
        ("title < a*", 9, "star"),
        ("shape.size = many", 14, "whole number"),
        ("shape.size = \"5\"", 14, "whole number"),
        ("shape.size = 1.5", 14, "whole number"),
        ("shape.size = 5*", 14, "whole number"),
        ("shape.size = 9223372036854775808", 14, "whole number"),
        ("made > yesterday", 8, "2026-01-31T12:00:00Z"),
        ("made > 2026-01-31", 8, "2026-01-31T12:00:00Z"),
        ("made > \"2026-01-31T12:00:00.0000001Z\"", 8, "microsecond"),
        ("name = a", 8, "things/"),
        ("name = \"users/a\"", 8, "things/"),
        ("name = \"things/a b\"", 8, "things/"),
        ("words = wood", 9, "words:\"wood\""),
        ("words:wo*", 7, "words:\"wood\""),
        ("words > wood", 9, "words:\"wood\""),
        ("loom", 1, fields),
        ("\"loom\"", 1, fields),
        ("42", 1, fields),
        ("--title = a", 2, fields),
        ("NOT NOT title = a", 5, fields),
        ("AND title = a", 1, fields),
        ("title = a AND", 14, fields),
        ("title = a OR OR code = b", 14, fields),
        ("()", 2, fields),
        ("(title = a", 1, "never closed"),
        ("title = a)", 10, "closes nothing"),
        ("prefix(title, a)", 1, "functions"),
        ("a.b(title)", 1, "functions"),
        ("title = lower(a)", 9, "functions"),
        ("title = (a OR b)", 9, "OR"),
        ("title. = a", 1, fields),
        ("title = a, code = b", 10, fields),
        ("é = 1", 1, fields),
        ("title = é AND x = 1", 15, fields),
        ("title = \"a\0b\"", 11, "U+0000"),
        ("title =\n a", 8, "U+000A"),
    ] {
        let refusal = read(filter).unwrap_err();
        let place = format!("at position {at}: ");
        assert!(refusal.starts_with(&place) && refusal.contains(told), "{filter:?}: {refusal}");
    }
}

#[test]
fn what_is_too_deep_too_much_or_too_long_is_refused_in_few_words() {
    let nested = |depth: usize| format!("{}title = a{}", "(".repeat(depth), ")".repeat(depth));
    let negated = |depth: usize| format!("{}title = a{}", "NOT (".repeat(depth), ")".repeat(depth));
    let many = |count: usize| vec!["title = a"; count].join(" OR ");
    assert!(read(&nested(16)).is_ok() && read(&negated(16)).is_ok() && read(&many(32)).is_ok());
    for (filter, told) in [
        (nested(17), "at position 17: is nested deeper than 16"),
        (nested(10_000), "at position 17: is nested deeper than 16"),
        ("(".repeat(10_000), "at position 17: is nested deeper than 16"),
        (negated(5_000), "nested deeper than 16"),
        ("-".repeat(10_000), "at position 2: "),
        (many(33), "more than 32 comparisons"),
        (nested(100_000), "at most 32768 bytes"),
        ("a".repeat(4 << 20), "at most 32768 bytes"),
        ("a".repeat(30_000), "is no field"),
        (format!("name = \"{}\"", "a".repeat(30_000)), "things/"),
        (vec!["a"; 10_000].join("."), "is no field"),
    ] {
        let refusal = read(&filter).unwrap_err();
        assert!(refusal.contains(told) && refusal.len() < 500, "{refusal}");
    }
}

proptest! {
    #[test]
    fn a_condition_is_written_and_read_back(condition in condition()) {
        let written = condition.to_string();
        prop_assert_eq!(read(&written), Ok(Some(condition)), "{}", written);
    }

    #[test]
    fn any_text_is_read_or_refused_and_what_was_read_is_read_again(
        text in "((title|name|made|words|NOT|AND|OR|things/a|[-(=<>!:)\"'*\\\\.,a1é]) ?){0,24}",
    ) {
        if let Ok(Some(condition)) = read(&text) {
            prop_assert_eq!(read(&condition.to_string()), Ok(Some(condition)));
        }
    }
}
