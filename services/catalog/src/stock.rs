//! How pieces move between what is available and what is reserved.

use crate::{error::Error, product::Product};

impl Product {
    /// Puts pieces aside.
    ///
    /// # Errors
    ///
    /// [`Error::TooFew`] if fewer are available.
    pub(crate) fn reserve(self, quantity: i64) -> Result<Self, Error> {
        let reserved = self.reserved_quantity.checked_add(quantity);
        match reserved {
            Some(reserved_quantity) if quantity <= self.available_quantity => {
                Ok(Self { available_quantity: self.available_quantity - quantity, reserved_quantity, ..self })
            }
            _ => Err(Error::TooFew { name: self.name(), what: "available", there: self.available_quantity, quantity }),
        }
    }

    /// Makes pieces available again: at most those that are reserved.
    ///
    /// # Errors
    ///
    /// [`Error::TooFew`] if fewer are reserved.
    pub(crate) fn release(self, quantity: i64) -> Result<Self, Error> {
        let available = self.available_quantity.checked_add(quantity);
        match available {
            Some(available_quantity) if quantity <= self.reserved_quantity => {
                Ok(Self { available_quantity, reserved_quantity: self.reserved_quantity - quantity, ..self })
            }
            _ => Err(Error::TooFew { name: self.name(), what: "reserved", there: self.reserved_quantity, quantity }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn product(available_quantity: i64, reserved_quantity: i64) -> Product {
        Product { available_quantity, reserved_quantity, ..Product::default() }
    }

    #[test]
    fn pieces_are_moved_and_never_made() {
        assert_eq!(product(3, 1).reserve(3).unwrap(), product(0, 4));
        assert_eq!(product(0, 4).release(4).unwrap(), product(4, 0));
    }

    #[test]
    fn no_more_is_moved_than_there_is() {
        for (available, reserved, quantity) in [(2, 9, 3), (0, 0, 1), (1, i64::MAX, 1), (0, 0, i64::MAX)] {
            assert!(product(available, reserved).reserve(quantity).is_err(), "{available} {reserved} {quantity}");
            assert!(product(reserved, available).release(quantity).is_err(), "{available} {reserved} {quantity}");
        }
    }
}
