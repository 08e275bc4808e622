//! The page's files.
//!
//! In: a path below `/console`. Out: a file of this binary with headers that keep a browser from running anything else.

use axum::{
    Router,
    extract::Path,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{HeaderValue, StatusCode, header};

/// Nothing inline and nothing from elsewhere: scripts, styles and requests only to the host itself.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A file's name, its content type and its text.
type File = (&'static str, &'static str, &'static str);

macro_rules! file {
    ($name:literal, $kind:literal) => {
        ($name, $kind, include_str!(concat!("../page/", $name)))
    };
}

const INDEX: File = file!("index.html", "text/html; charset=utf-8");

const FILES: &[File] = &[
    file!("api.js", "text/javascript; charset=utf-8"),
    file!("app.js", "text/javascript; charset=utf-8"),
    file!("dom.js", "text/javascript; charset=utf-8"),
    file!("grid.js", "text/javascript; charset=utf-8"),
    file!("jobs.js", "text/javascript; charset=utf-8"),
    file!("json.js", "text/javascript; charset=utf-8"),
    file!("objects.js", "text/javascript; charset=utf-8"),
    file!("plugins.js", "text/javascript; charset=utf-8"),
    file!("query.js", "text/javascript; charset=utf-8"),
    file!("result.js", "text/javascript; charset=utf-8"),
    file!("style.css", "text/css; charset=utf-8"),
    file!("icon.svg", "image/svg+xml"),
];

/// The routes of the page: `/console` and the files below it, and `/` as well where `at_root` says so.
///
/// They need no token: the page asks for one where the interface does. A name that is no file of the page is 404.
pub fn page<S: Clone + Send + Sync + 'static>(at_root: bool) -> Router<S> {
    let routes = Router::new()
        .route("/console", get(index))
        .route("/console/", get(index))
        .route("/console/{file}", get(file));
    if at_root {
        routes.route("/", get(index))
    } else {
        routes
    }
}

async fn index() -> Response {
    answer(&INDEX)
}

async fn file(Path(name): Path<String>) -> Response {
    match FILES.iter().find(|(known, ..)| *known == name) {
        Some(file) => answer(file),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

fn answer((_, kind, text): &File) -> Response {
    let mut response = (*text).into_response();
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, *kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        // Another version of the host brings other files under the same names.
        (header::CACHE_CONTROL, "no-cache"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_only_files_that_it_has() {
        let texts = FILES.iter().chain([&INDEX]);
        for (name, _, text) in texts {
            let named = text
                .split(['"', '\''])
                .filter_map(|word| {
                    word.strip_prefix("/console/")
                        .or_else(|| word.strip_prefix("./"))
                })
                .filter(|word| word.contains('.'));
            for file in named {
                assert!(
                    FILES.iter().any(|(known, ..)| *known == file),
                    "{name} names {file}"
                );
            }
        }
    }

    #[test]
    fn nothing_in_the_page_is_inline_or_from_elsewhere() {
        for (name, _, text) in FILES.iter().chain([&INDEX]) {
            for part in [
                "https://",
                "http://",
                "innerHTML",
                "outerHTML",
                "insertAdjacent",
                "document.write",
                "eval(",
                "<style",
                "style=\"",
                " onclick=\"",
                "new Function",
            ] {
                let allowed = text.replace("http://www.w3.org/2000/svg", "");
                assert!(!allowed.contains(part), "{name} contains {part}");
            }
        }
    }
}
