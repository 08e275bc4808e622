//! Which paths are the host's own.

/// Whether the host itself answers a path, be it with "unknown endpoint".
pub(super) fn is_ours(path: &str) -> bool {
    let exact = ["/api/v1", "/metrics", "/openapi.json", "/livez", "/readyz"];
    exact.contains(&path) || path.starts_with("/api/v1/") || is_page(path)
}

/// Whether a path is one of the host's own web page, beside `/`.
pub(super) fn is_page(path: &str) -> bool {
    path.starts_with("/console")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interface_and_the_hosts_own_page_are_ours_and_nothing_else() {
        for path in [
            "/api/v1/jobs",
            "/api/v1/what/ever",
            "/metrics",
            "/openapi.json",
            "/livez",
            "/readyz",
            "/console",
            "/console/app.js",
        ] {
            assert!(is_ours(path), "{path}");
        }
        for path in [
            "/",
            "/jobs",
            "/api/v2/jobs",
            "/metrics/x",
            "/_next/static/x.js",
        ] {
            assert!(!is_ours(path), "{path}");
        }
    }
}
