//! The comments of the protos, for services that send them with their descriptors.

use std::collections::HashMap;

use prost_reflect::FileDescriptor;

/// More of one comment is not shown: fields are told again by every route that takes them.
const LENGTH: usize = 4_096;

/// Comments by file and place, read when a file is first asked for.
#[derive(Debug, Default)]
pub(crate) struct Comments {
    files: HashMap<String, HashMap<Vec<i32>, String>>,
}

impl Comments {
    /// Returns the comment of what stands at a path of a file (`SourceCodeInfo` of descriptor.proto).
    pub(crate) fn at(&mut self, file: &FileDescriptor, path: &[i32]) -> Option<String> {
        if !self.files.contains_key(file.name()) {
            self.files.insert(file.name().to_owned(), read(file));
        }
        self.files.get(file.name())?.get(path).cloned()
    }
}

/// Returns the first sentence of a comment, if it is short enough for a heading.
pub(crate) fn summary(comment: &str) -> Option<String> {
    let paragraph = comment.split("\n\n").next()?.replace('\n', " ");
    let sentence = paragraph.split_once(". ").map_or(paragraph.as_str(), |(first, _)| first);
    let short = !sentence.is_empty() && sentence.chars().count() <= 120;
    short.then(|| sentence.trim_end_matches('.').to_owned())
}

fn read(file: &FileDescriptor) -> HashMap<Vec<i32>, String> {
    let info = file.file_descriptor_proto().source_code_info.as_ref();
    let locations = info.map(|info| info.location.as_slice()).unwrap_or_default();
    let comments = locations.iter().filter_map(|location| {
        let comment = location.leading_comments.as_deref().or(location.trailing_comments.as_deref())?;
        let text = clean(comment);
        (!text.is_empty()).then(|| (location.path.clone(), text))
    });
    comments.collect()
}

/// Takes off the space after `//` and what is not for the public (AIP-192: `(-- … --)`).
fn clean(comment: &str) -> String {
    let mut public = String::new();
    let mut rest = comment;
    while let Some((before, inside)) = rest.split_once("(--") {
        public.push_str(before);
        rest = inside.split_once("--)").map_or("", |(_, after)| after);
    }
    public.push_str(rest);
    let lines = public.lines().map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end());
    let text = lines.collect::<Vec<_>>().join("\n");
    let text = text.trim();
    match text.char_indices().nth(LENGTH) {
        Some((end, _)) => format!("{} …", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_is_cleaned() {
        assert_eq!(clean(" One.\n\n  - two \n (-- api-linter: no --)\n"), "One.\n\n - two");
        assert_eq!(clean(" a (-- b\n c"), "a");
        assert_eq!(clean(&"ä".repeat(5_000)).chars().count(), LENGTH + 2);
    }

    #[test]
    fn the_first_sentence_is_the_summary() {
        assert_eq!(summary("Returns one\nuser. Or not.\n\nMore.").unwrap(), "Returns one user");
        assert_eq!(summary("Short.").unwrap(), "Short");
        assert_eq!(summary(&"x".repeat(121)), None);
    }
}
