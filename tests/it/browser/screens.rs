//! Every section on small, common and large screens, in light and dark.

use std::{env, fs, path::PathBuf};

use serde_json::{Value, json};

use super::{OPEN_THE_JOB, Page, can_browse, engine, open};

/// Which folder pictures go to, where any are wanted.
fn folder() -> Option<PathBuf> {
    let folder = PathBuf::from(env::var_os("HARNESS_SCREENSHOTS")?);
    fs::create_dir_all(&folder).unwrap();
    Some(folder)
}

/// Whether an error's text that is wider than its place is scrolled to its caret, a sign as wide as every other.
const CARET_IS_IN_SIGHT: &str = "(text) => { \
    const lines = text.textContent.split('\\n'), longest = Math.max(...lines.map((line) => line.length)); \
    const x = text.scrollWidth * lines.at(-1).indexOf('^') / longest; \
    return text.scrollLeft > 0 && text.scrollLeft < x && x < text.scrollLeft + text.clientWidth }";

/// Shows the page at each width in each scheme: nothing is wider than the screen, text stands out from its background.
async fn check_screen(page: &Page, name: &str) {
    for width in [360, 1280, 2560] {
        page.size(width).await;
        let mut backs = Vec::new();
        for scheme in ["light", "dark"] {
            let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
            page.devtools("Emulation.setEmulatedMedia", media).await;
            page.wait(&format!(
                "innerWidth === {width} && matchMedia('(prefers-color-scheme: {scheme})').matches"
            ))
            .await;
            page.wait(
                "document.documentElement.scrollWidth <= document.documentElement.clientWidth",
            )
            .await;
            // Nor does a table scroll sideways: its last column holds the buttons.
            page.wait("[...document.querySelectorAll('.scroll')].every((box) => box.scrollWidth <= box.clientWidth)")
                .await;
            let colours = page
                .js(
                    "const s = getComputedStyle(document.body); return [s.color, s.backgroundColor]",
                    "",
                )
                .await;
            assert!(
                contrast(&colours[0], &colours[1]) >= 7.0,
                "{name} {scheme}: {colours}"
            );
            backs.push(colours[1].clone());
            if let Some(folder) = folder() {
                let picture = page.client.screenshot().await.unwrap();
                fs::write(folder.join(format!("{name}-{width}-{scheme}.png")), picture).unwrap();
            }
        }
        assert_ne!(backs[0], backs[1], "{name}: dark is not light");
    }
}

/// The contrast of two colours as WCAG defines it: 7 is its highest demand on text.
fn contrast(one: &Value, other: &Value) -> f64 {
    let brightness = |colour: &Value| {
        let text = colour.as_str().unwrap();
        let parts = text.trim_start_matches("rgb(").trim_end_matches(')');
        let linear = parts.split(", ").map(|part| {
            let share = part.parse::<f64>().unwrap() / 255.0;
            match share <= 0.04045 {
                true => share / 12.92,
                false => ((share + 0.055) / 1.055).powf(2.4),
            }
        });
        linear
            .zip([0.2126, 0.7152, 0.0722])
            .map(|(part, weight)| part * weight)
            .sum::<f64>()
    };
    let (one, other) = (brightness(one), brightness(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_section_fits_screens_from_360_to_2560_pixels_in_light_and_dark() {
    if !can_browse() {
        return;
    }
    let engine = engine().await;
    let (_directory, _host, page) = open(&engine.url()).await;
    page.is_used_by("alice").await;
    page.ask("SELECT * FROM every_type", "Run").await;
    page.wait("document.querySelector('.grid-row .cell')").await;
    page.shows("SUCCEEDED").await;
    check_screen(&page, "query").await;
    let error =
        "SELECT id, price FROM my_table\nWHERE category = 'books' AND price > 12.99 ORDER BY";
    page.ask(error, "Run").await;
    page.shows("INVALID_QUERY").await;
    page.shows("Open the job").await;
    check_screen(&page, "error").await;
    page.size(360).await;
    page.wait(&format!(
        "({CARET_IS_IN_SIGHT})(document.querySelector('.problem pre'))"
    ))
    .await;
    page.js(OPEN_THE_JOB, "").await;
    page.wait("location.hash.startsWith('#job/') && document.querySelector('main dl')")
        .await;
    check_screen(&page, "job").await;
    page.section("query").await;
    page.ask("SELECT * FROM my_table WHERE id = '123'", "Explain")
        .await;
    page.shows("What would be read").await;
    check_screen(&page, "explain").await;
    for (section, words) in [
        ("jobs", "FAILED"),
        ("commands", "dynamo"),
        ("clusters", "local"),
        ("plugins", "ACTIVE"),
    ] {
        page.section(section).await;
        page.shows(words).await;
        check_screen(&page, section).await;
    }
}
