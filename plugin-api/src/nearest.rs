//! The known word that a misspelt one most likely means, for hints: plugins and hosts use it for fields, tags, codes and flags.

/// How much of a word is compared: the cost grows with the square of the length, and nobody misspells longer names by a letter.
const COMPARED: usize = 60;
/// The distance from which two words have nothing to do with each other.
const UNRELATED: f64 = 0.45;

/// The candidate nearest to `word`, however far it is; `None` where there are no candidates. Case is ignored.
///
/// ```
/// assert_eq!(plugin_api::nearest("limt", ["query", "limit"]), Some("limit"));
/// ```
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    by_distance(word, candidates).map(|(_, candidate)| candidate)
}

/// The candidate that `word` most likely means; `None` where nothing is near enough to be meant, or where `word` is itself a candidate
/// and there is no other near it.
///
/// A candidate is near where it differs in a few letters, or where one of the two begins with the other.
///
/// ```
/// let tags = ["type:dynamodb", "data:prod"];
/// assert_eq!(plugin_api::near("type:dynamo", tags), Some("type:dynamodb"));
/// assert_eq!(plugin_api::near("zebra", tags), None);
/// ```
#[must_use]
pub fn near<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let others = candidates
        .into_iter()
        .filter(|candidate| *candidate != word);
    by_distance(word, others)
        .filter(|(distance, _)| *distance < UNRELATED)
        .map(|(_, candidate)| candidate)
}

fn by_distance<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<(f64, &'a str)> {
    let word = comparable(word);
    candidates
        .into_iter()
        .map(|candidate| (distance(&word, &comparable(candidate)), candidate))
        .min_by(|left, right| left.0.total_cmp(&right.0))
}

fn comparable(word: &str) -> String {
    word.chars()
        .take(COMPARED)
        .flat_map(char::to_lowercase)
        .collect()
}

/// 0 for equal words, 1 for unrelated ones.
fn distance(left: &str, right: &str) -> f64 {
    let distance = 1.0 - strsim::normalized_damerau_levenshtein(left, right);
    let shorter = left.len().min(right.len());
    if shorter >= 3 && (left.starts_with(right) || right.starts_with(left)) {
        return distance.min(0.4);
    }
    distance
}

#[cfg(test)]
mod tests {
    use super::{near, nearest};

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
            assert_eq!(near(word, tags), expected, "{word}");
        }
    }

    #[test]
    fn the_nearest_word_is_named_even_where_nothing_is_near() {
        assert_eq!(nearest("zzz", ["limit", "query"]), Some("limit"));
        assert_eq!(nearest("LIMT", ["query", "limit"]), Some("limit"));
        assert_eq!(nearest("limit", []), None);
        assert!(nearest(&"x".repeat(1 << 20), ["limit"]).is_some());
    }
}
