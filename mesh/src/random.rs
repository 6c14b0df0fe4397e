//! Random numbers, from one place: a test can seed them, and then a run with the same seed is the same run.

#[cfg(not(test))]
pub(crate) fn rng() -> impl rand::Rng {
    rand::rng()
}

#[cfg(test)]
pub(crate) use self::seeded::{rng, seed};

#[cfg(test)]
mod seeded {
    use std::cell::RefCell;

    use rand::{RngCore, SeedableRng as _, rngs::SmallRng};

    thread_local! {
        static SEEDED: RefCell<Option<SmallRng>> = const { RefCell::new(None) };
    }

    /// Makes what [`rng`] returns on this thread from now on follow from a number; none ends that.
    pub(crate) fn seed(number: Option<u64>) {
        SEEDED.replace(number.map(SmallRng::seed_from_u64));
    }

    /// Returns the source of random numbers.
    pub(crate) fn rng() -> impl RngCore {
        Source
    }

    struct Source;

    impl Source {
        fn draw<T>(draw: impl FnOnce(&mut dyn RngCore) -> T) -> T {
            SEEDED.with_borrow_mut(|seeded| match seeded {
                Some(seeded) => draw(seeded),
                None => draw(&mut rand::rng()),
            })
        }
    }

    impl RngCore for Source {
        fn next_u32(&mut self) -> u32 {
            Self::draw(|rng| rng.next_u32())
        }

        fn next_u64(&mut self) -> u64 {
            Self::draw(|rng| rng.next_u64())
        }

        fn fill_bytes(&mut self, bytes: &mut [u8]) {
            Self::draw(|rng| rng.fill_bytes(bytes));
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        let numbers = |of| {
            seed(Some(of));
            let numbers = [rng().next_u64(), rng().next_u64()];
            seed(None);
            numbers
        };
        assert_eq!(numbers(7), numbers(7));
        assert_ne!(numbers(7), numbers(8));
    }
}
