//! What an update changes.

use prost_types::FieldMask;
use selvedge_kit::{mask, name, violation::Violations};

use crate::{
    domain::check,
    product::{Draft, USERS},
    store::write::Change,
};

/// The fields that an update may change.
const CHANGEABLE: [&str; 6] = ["display_name", "description", "price", "owner", "tags", "available_quantity"];

/// Returns the change that a draft and a mask mean, and adds all that is wrong with it.
pub(crate) fn checked(draft: &Draft, mask: Option<&FieldMask>, violations: &mut Violations) -> Change {
    let fields = mask::fields(mask, &CHANGEABLE, |field| is_present(draft, field)).unwrap_or_else(|reasons| {
        reasons.into_iter().for_each(|reason| violations.add("update_mask", reason));
        Vec::new()
    });
    for field in fields.iter().filter(|field| **field != "owner") {
        check::field(field, draft, violations);
    }
    let has = |field: &str| fields.contains(&field);
    let owner = has("owner").then(|| violations.check("product.owner", name::id_of(&draft.owner, USERS))).flatten();
    Change {
        display_name: has("display_name").then(|| draft.display_name.clone()),
        description: has("description").then(|| draft.description.clone()),
        price: has("price").then(|| draft.price.clone()).flatten(),
        owner_id: owner.map(str::to_owned),
        tags: has("tags").then(|| draft.tags.clone()),
        available_quantity: has("available_quantity").then_some(draft.available_quantity),
    }
}

fn is_present(draft: &Draft, field: &str) -> bool {
    match field {
        "display_name" => !draft.display_name.is_empty(),
        "description" => !draft.description.is_empty(),
        "price" => draft.price.is_some(),
        "owner" => !draft.owner.is_empty(),
        "tags" => !draft.tags.is_empty(),
        _ => draft.available_quantity != 0,
    }
}
