//! The trace that a submission belongs to: W3C's `traceparent`.

/// A `traceparent` header that can be used: version, trace id, parent id and flags, as W3C's Trace Context writes them. Any other is
/// the same as none, as that page asks.
#[must_use]
pub fn traceparent(header: &str) -> Option<String> {
    let parts: Vec<&str> = header.trim().split('-').collect();
    let [version, trace, parent, flags, ..] = parts.as_slice() else {
        return None;
    };
    let is_hex = |text: &str, length| {
        text.len() == length
            && text
                .bytes()
                .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    };
    let is_zero = |text: &str| text.bytes().all(|byte| byte == b'0');
    let is_usable = is_hex(version, 2)
        && *version != "ff"
        && is_hex(trace, 32)
        && !is_zero(trace)
        && is_hex(parent, 16)
        && !is_zero(parent)
        && is_hex(flags, 2)
        // Later versions may say more; only what this one knows is kept.
        && (parts.len() == 4 || *version != "00");
    is_usable.then(|| format!("00-{trace}-{parent}-{flags}"))
}

/// The trace's id in a `traceparent`.
#[must_use]
pub fn trace_id(traceparent: &str) -> Option<&str> {
    traceparent.split('-').nth(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_traceparent_as_it_is_specified_is_taken() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(traceparent(good).as_deref(), Some(good));
        assert_eq!(trace_id(good), Some("0af7651916cd43dd8448eb211c80319c"));
        let later = good.replace("00-0a", "01-0a") + "-more";
        assert_eq!(traceparent(&later).as_deref(), Some(good));
        for bad in [
            "",
            "00",
            &good.to_uppercase(),
            &good.replace("00-0a", "ff-0a"),
            &format!("{good}-more"),
            &good.replace("b7ad6b7169203331", "0000000000000000"),
            &good.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            &good[..54],
        ] {
            assert_eq!(traceparent(bad), None, "{bad}");
        }
    }
}
