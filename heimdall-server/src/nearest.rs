//! The nearest known word to a misspelt one, for hints.
//!
//! In: a word and the words that would have been right. Out: the closest, if any is close enough to be meant. No I/O.

/// The candidate that `word` most likely means; `None` where nothing is close.
///
/// A candidate counts where it is a few letters away, or where one of the two begins with the other: `type:dynamo` means `type:dynamodb`.
#[must_use]
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let lower = word.to_lowercase();
    candidates
        .into_iter()
        .filter(|candidate| *candidate != word)
        .map(|candidate| (distance(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance < 0.45)
        .min_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, candidate)| candidate)
}

/// 0 for equal words, 1 for unrelated ones.
fn distance(left: &str, right: &str) -> f64 {
    if left == right {
        return 0.0;
    }
    let distance = 1.0 - strsim::normalized_damerau_levenshtein(left, right);
    let shorter = left.len().min(right.len());
    if shorter >= 3 && (left.starts_with(right) || right.starts_with(left)) {
        return distance.min(0.4);
    }
    distance
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn misspelt_words_find_their_neighbour_and_others_find_none() {
        let tags = ["type:dynamodb", "type:ping", "data:prod"];
        for (word, expected) in [
            ("type:dynamo", Some("type:dynamodb")),
            ("type:dynmodb", Some("type:dynamodb")),
            ("data:prd", Some("data:prod")),
            ("zebra", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, tags), expected, "{word}");
        }
    }
}
