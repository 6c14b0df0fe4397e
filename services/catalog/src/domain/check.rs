//! The rules for the fields of a product.

use std::collections::HashSet;

use selvedge_kit::{
    text::{self, Lines},
    violation::Violations,
};

use crate::product::{Draft, Price};

/// Characters of the longest display name, description and tag.
const LONGEST_DISPLAY_NAME: usize = 256;
const LONGEST_DESCRIPTION: usize = 10_000;
const LONGEST_TAG: usize = 64;
/// Tags of one product.
const MOST_TAGS: usize = 32;
/// `google.type.Money`: nanos are less than a unit.
const MOST_NANOS: i32 = 999_999_999;

/// The fields that a caller may set, but for the owner.
pub(crate) const FIELDS: [&str; 5] = ["display_name", "description", "price", "tags", "available_quantity"];

/// Adds what is wrong with one of the [`FIELDS`] of what a caller says of a product.
pub(crate) fn field(name: &str, draft: &Draft, violations: &mut Violations) {
    match name {
        "display_name" => {
            let right = text::required(&draft.display_name, LONGEST_DISPLAY_NAME, Lines::One);
            violations.check("product.display_name", right);
        }
        "description" => {
            let right = text::optional(&draft.description, LONGEST_DESCRIPTION, Lines::Many);
            violations.check("product.description", right);
        }
        "price" => match &draft.price {
            Some(price) => money(price, violations),
            None => violations.add("product.price", "is required"),
        },
        "tags" => tags(&draft.tags, violations),
        _ if draft.available_quantity < 0 => violations.add("product.available_quantity", "must not be negative"),
        _ => {}
    }
}

fn money(price: &Price, violations: &mut Violations) {
    let &Price { ref currency, units, nanos } = price;
    if currency.len() != 3 || !currency.bytes().all(|b| b.is_ascii_uppercase()) {
        violations.add("product.price.currency_code", "must be the three capital letters of ISO 4217, such as EUR");
    }
    if units < 0 {
        violations.add("product.price.units", "must not be negative");
    }
    if !(-MOST_NANOS..=MOST_NANOS).contains(&nanos) {
        violations.add("product.price.nanos", format!("must be -{MOST_NANOS} to {MOST_NANOS}"));
    } else if (units > 0 && nanos < 0) || (units < 0 && nanos > 0) {
        violations.add("product.price.nanos", "must have the same sign as units");
    } else if units == 0 && nanos < 0 {
        violations.add("product.price.nanos", "must not be negative");
    }
}

fn tags(tags: &[String], violations: &mut Violations) {
    if tags.len() > MOST_TAGS {
        violations.add("product.tags", format!("must have at most {MOST_TAGS} entries"));
        return;
    }
    let mut seen = HashSet::new();
    for (i, tag) in tags.iter().enumerate() {
        let field = format!("product.tags[{i}]");
        let right = violations.check(&field, text::required(tag, LONGEST_TAG, Lines::One)).is_some();
        if right && !seen.insert(tag) {
            violations.add(field, format!("must not be there twice: {}", text::quote(tag)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Draft {
        Draft {
            display_name: "Loom".into(),
            description: "Two lines,\nand a tab\there.".into(),
            price: Some(Price { currency: "EUR".into(), units: 12, nanos: 500_000_000 }),
            owner: "users/ada1".into(),
            tags: vec!["wood".into(), "large".into()],
            available_quantity: 3,
            ..Draft::default()
        }
    }

    fn violated(product: &Draft) -> Vec<String> {
        let mut violations = Violations::new();
        FIELDS.iter().for_each(|name| field(name, product, &mut violations));
        violations.listed().iter().map(|violation| violation.field.clone()).collect()
    }

    fn with_price(currency: &str, units: i64, nanos: i32) -> Vec<String> {
        violated(&Draft { price: Some(Price { currency: currency.into(), units, nanos }), ..good() })
    }

    #[test]
    fn a_product_as_it_should_be_has_no_violation() {
        assert!(violated(&good()).is_empty());
        assert!(
            violated(&Draft { description: String::new(), tags: vec![], available_quantity: 0, ..good() }).is_empty()
        );
    }

    #[test]
    fn every_field_has_its_rule() {
        let empty = violated(&Draft::default());
        assert_eq!(empty, ["product.display_name", "product.price"]);
        assert_eq!(violated(&Draft { display_name: "a\nb".into(), ..good() }), ["product.display_name"]);
        assert_eq!(violated(&Draft { description: "a\0b".into(), ..good() }), ["product.description"]);
        assert_eq!(violated(&Draft { description: "é".repeat(10_001), ..good() }), ["product.description"]);
        assert_eq!(violated(&Draft { available_quantity: -1, ..good() }), ["product.available_quantity"]);
    }

    #[test]
    fn a_price_is_money_of_some_currency_and_not_negative() {
        for (units, nanos) in [(0, 0), (0, MOST_NANOS), (1, 0), (i64::MAX, MOST_NANOS)] {
            assert!(with_price("USD", units, nanos).is_empty(), "{units} {nanos}");
        }
        for currency in ["", "eur", "EURO", "E1R", "€", "ÉUR"] {
            assert_eq!(with_price(currency, 1, 0), ["product.price.currency_code"], "{currency}");
        }
        assert_eq!(with_price("EUR", -1, 0), ["product.price.units"]);
        assert_eq!(with_price("EUR", 0, -1), ["product.price.nanos"]);
        assert_eq!(with_price("EUR", 1, -1), ["product.price.nanos"]);
        assert_eq!(with_price("EUR", -1, 1), ["product.price.units", "product.price.nanos"]);
        for nanos in [1_000_000_000, -1_000_000_000, i32::MIN, i32::MAX] {
            assert_eq!(with_price("EUR", 1, nanos), ["product.price.nanos"]);
        }
    }

    #[test]
    fn tags_are_few_short_and_different() {
        let tags = |tags: &[&str]| violated(&Draft { tags: tags.iter().map(ToString::to_string).collect(), ..good() });
        let many: Vec<_> = (0..33).map(|i| i.to_string()).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        assert!(tags(&many[..32]).is_empty());
        assert_eq!(tags(&many), ["product.tags"]);
        assert_eq!(tags(&["wood", "", "wood", &"x".repeat(65), "a\nb"]).len(), 4);
        assert_eq!(tags(&["wood", "large", "wood"]), ["product.tags[2]"]);
    }
}
