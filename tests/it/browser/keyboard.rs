//! The page by keyboard alone.

use fantoccini::key::Key;
use serde_json::Value;

use super::{Page, can_browse, engine, open};

impl Page {
    /// Presses keys where the focus is.
    async fn keys(&self, keys: &str) {
        let element = self.client.active_element().await.unwrap();
        element.send_keys(keys).await.unwrap();
    }

    async fn key(&self, key: Key) {
        self.keys(&char::from(key).to_string()).await;
    }

    /// What has the focus: an element's words or name; and whether one can see that it has it.
    async fn focus(&self) -> (String, bool) {
        let code = "const e = document.activeElement; const s = getComputedStyle(e); \
            return [e.tagName === 'BUTTON' || e.tagName === 'A' ? e.textContent : (e.name || e.className || e.id), \
                e.matches(':focus-visible') && s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 1]";
        let found: Value = self.js(code, "").await;
        (found[0].as_str().unwrap().to_owned(), found[1] == true)
    }

    /// Presses Tab until that has the focus, which is visible at every step.
    async fn tab_to(&self, expected: &str) {
        let mut seen = Vec::new();
        for _ in 0..40 {
            self.key(Key::Tab).await;
            let (name, visible) = self.focus().await;
            assert!(visible, "one cannot see that '{name}' has the focus");
            if name == expected {
                return;
            }
            seen.push(name);
        }
        panic!("Tab does not lead to '{expected}': {seen:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_used_by_keyboard_alone() {
    if !can_browse() {
        return;
    }
    let engine = engine().await;
    let (_directory, _host, page) = open(&engine.url()).await;

    // The first stop leads past the navigation.
    page.tab_to("Skip to the content").await;
    page.key(Key::Enter).await;
    page.tab_to("statement").await;
    page.keys("SELECT * FROM every_type").await;
    // In the order in which one reads.
    for stop in ["parameters", "limit", "command", "cluster", "Run"] {
        page.key(Key::Tab).await;
        assert_eq!(page.focus().await.0, stop);
    }
    page.key(Key::Enter).await;
    // The dialog takes the focus and keeps it; Esc leaves it.
    page.wait("document.getElementById('sign-in').open && document.activeElement.name === 'user'")
        .await;
    page.key(Key::Escape).await;
    page.shows("UNAUTHENTICATED").await;
    page.js("document.querySelector('textarea').focus()", "")
        .await;
    page.keys(&format!(
        "{}{}",
        char::from(Key::Control),
        char::from(Key::Enter)
    ))
    .await;
    page.wait("document.getElementById('sign-in').open && document.activeElement.name === 'user'")
        .await;
    page.keys("alice").await;
    page.key(Key::Enter).await;
    page.wait("document.querySelector('.grid-row .cell')").await;

    // The result is one stop; arrows move in it, Enter opens a cell, Esc closes it.
    page.js("document.querySelector('textarea').focus()", "")
        .await;
    page.tab_to("grid").await;
    page.key(Key::Down).await;
    page.key(Key::End).await;
    page.wait("document.getElementById('active-cell')?.parentElement.getAttribute('aria-rowindex') === '3'").await;
    page.key(Key::Home).await;
    page.key(Key::Enter).await;
    page.wait("document.getElementById('detail').open").await;
    page.key(Key::Escape).await;
    page.wait(
        "!document.getElementById('detail').open && document.activeElement.className === 'grid'",
    )
    .await;

    // And on to the other sections.
    page.js("document.querySelector('.skip').focus()", "").await;
    page.tab_to("Jobs").await;
    page.key(Key::Enter).await;
    page.shows("SUCCEEDED").await;
}
