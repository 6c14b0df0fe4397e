//! Values by their ids, which are also found by what they are of: instances by their service, checks by their instance.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A value that has an id, and is of something.
pub(crate) trait Row {
    fn id(&self) -> &str;

    /// What it is of, and found by.
    fn group(&self) -> String;
}

/// Rows by id. What a row is of never changes in place: it is inserted anew.
#[derive(Clone, Debug)]
pub(crate) struct Table<T> {
    rows: BTreeMap<String, T>,
    /// The ids of each group that has any.
    groups: BTreeMap<String, BTreeSet<String>>,
}

impl<T: Row> Table<T> {
    pub(crate) fn get(&self, id: &str) -> Option<&T> {
        self.rows.get(id)
    }

    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut T> {
        self.rows.get_mut(id)
    }

    pub(crate) fn contains(&self, id: &str) -> bool {
        self.rows.contains_key(id)
    }

    /// Returns all rows, in the order of their ids.
    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.rows.values()
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.rows.values_mut()
    }

    /// Returns the rows of a group, in the order of their ids.
    pub(crate) fn of(&self, group: &str) -> impl Iterator<Item = &T> + use<'_, T> {
        let ids = self.groups.get(group);
        ids.into_iter().flatten().filter_map(|id| self.rows.get(id))
    }

    pub(crate) fn has_any_of(&self, group: &str) -> bool {
        self.groups.contains_key(group)
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Puts a row in place of the one with its id.
    pub(crate) fn insert(&mut self, row: T) {
        self.remove(row.id());
        self.groups.entry(row.group()).or_default().insert(row.id().to_owned());
        self.rows.insert(row.id().to_owned(), row);
    }

    pub(crate) fn remove(&mut self, id: &str) -> Option<T> {
        let row = self.rows.remove(id)?;
        let group = row.group();
        if let Some(ids) = self.groups.get_mut(&group) {
            ids.remove(id);
            if ids.is_empty() {
                self.groups.remove(&group);
            }
        }
        Some(row)
    }

    /// Removes all rows of a group.
    pub(crate) fn remove_all_of(&mut self, group: &str) {
        for id in self.groups.remove(group).into_iter().flatten() {
            self.rows.remove(&id);
        }
    }
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), groups: BTreeMap::new() }
    }
}

impl<T: Row> FromIterator<T> for Table<T> {
    fn from_iter<I: IntoIterator<Item = T>>(rows: I) -> Self {
        let mut table = Self::default();
        rows.into_iter().for_each(|row| table.insert(row));
        table
    }
}

/// On disk it is a map by id.
impl<T: Serialize> Serialize for Table<T> {
    fn serialize<S: Serializer>(&self, output: S) -> Result<S::Ok, S::Error> {
        self.rows.serialize(output)
    }
}

impl<'de, T: Row + Deserialize<'de>> Deserialize<'de> for Table<T> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        Ok(BTreeMap::<String, T>::deserialize(input)?.into_values().collect())
    }
}

/// An instance is of the service of its name, in lower case.
#[cfg(test)]
mod tests {
    use super::*;

    /// An id, and what it is of.
    type Pair = (&'static str, &'static str);

    impl Row for Pair {
        fn id(&self) -> &str {
            self.0
        }

        fn group(&self) -> String {
            self.1.to_owned()
        }
    }

    fn ids(table: &Table<Pair>, group: &str) -> Vec<&'static str> {
        table.of(group).map(|(id, _)| *id).collect()
    }

    #[test]
    fn a_row_is_found_by_what_it_is_of_until_that_changes_or_it_goes() {
        let mut table: Table<Pair> = [("b", "x"), ("a", "x"), ("c", "y")].into_iter().collect();
        assert_eq!((ids(&table, "x"), ids(&table, "y"), ids(&table, "z")), (vec!["a", "b"], vec!["c"], vec![]));
        table.insert(("a", "y"));
        assert_eq!((ids(&table, "x"), ids(&table, "y"), table.len()), (vec!["b"], vec!["a", "c"], 3));
        assert_eq!(table.remove("b"), Some(("b", "x")));
        assert_eq!((table.has_any_of("x"), table.has_any_of("y")), (false, true));
        table.remove_all_of("y");
        assert!(table.is_empty() && !table.has_any_of("y"));
    }
}
