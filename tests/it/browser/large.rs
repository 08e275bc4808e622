//! A large result: all of it can be read, little of it is in the document, and it is taken as a file.

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use engines::replay::{self, Replay};
use serde_json::json;

use super::{PATIENCE, can_browse, open};

const PAGES: usize = 20;
const ROWS_A_PAGE: usize = 5000;

/// A table of 100,000 items.
fn engine() -> Replay {
    let pages: Vec<Vec<String>> = (0..PAGES)
        .map(|page| {
            let first = page * ROWS_A_PAGE;
            (first..first + ROWS_A_PAGE)
                .map(|n| format!(r#"{{"id":{{"S":"item-{n:06}"}},"n":{{"N":"{n}"}},"text":{{"S":"some words"}}}}"#))
                .collect()
        })
        .collect();
    Replay::start(&replay::chain(&pages), Duration::ZERO).unwrap()
}

/// The one file of a folder, once it is whole.
fn file_in(folder: &Path) -> Vec<u8> {
    let until = Instant::now() + PATIENCE;
    loop {
        let names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        if let [one] = names.as_slice()
            && one.extension().is_none_or(|kind| kind != "crdownload")
        {
            let bytes = fs::read(one).unwrap();
            fs::remove_file(one).unwrap();
            return bytes;
        }
        assert!(Instant::now() < until, "no file in time: {names:?}");
        thread::sleep(Duration::from_millis(50));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_rows_are_read_to_the_end_with_few_of_them_in_the_document_and_taken_as_files()
 {
    if !can_browse() {
        return;
    }
    let engine = engine();
    let (_directory, _host, page) = open(&engine.url()).await;
    page.is_used_by("alice").await;
    // What keeps the page from answering for 50 ms and more, as the browser tells it.
    page.js(
        "window.longest = 0; new PerformanceObserver((list) => list.getEntries().forEach((task) => { window.longest = Math.max(window.longest, task.duration); })).observe({ type: 'longtask' })",
        "",
    )
    .await;
    page.ask("SELECT * FROM large", "Run").await;
    page.wait("document.querySelector('.grid-row .cell')").await;
    page.shows("100,000 rows").await;
    let drawn = "return document.querySelectorAll('*').length";
    let at_first = page.js(drawn, "").await.as_u64().unwrap();

    // To the middle and to the end, by the scroll bar.
    for (share, shown) in [("0.5", "item-0500"), ("1", "item-099999")] {
        page.js("const g = document.querySelector('.grid'); g.scrollTop = g.scrollHeight * Number(arguments[0])", share).await;
        page.wait(&format!(
            "document.querySelector('.grid').innerText.includes('{shown}')"
        ))
        .await;
        let rows = page
            .js("return document.querySelectorAll('.grid-row').length", "")
            .await;
        assert!(
            rows.as_u64().unwrap() < 100,
            "{rows} rows are in the document"
        );
        let now = page.js(drawn, "").await.as_u64().unwrap();
        assert!(now < at_first + 200, "{at_first} elements became {now}");
    }

    let longest = page.js("return window.longest", "").await;
    println!(
        "100,000 rows were read and scrolled; the longest the page was busy at once: {longest} ms"
    );

    let folder = tempfile::tempdir().unwrap();
    let behavior = json!({"behavior": "allow", "downloadPath": folder.path()});
    page.devtools("Browser.setDownloadBehavior", behavior).await;
    for (format, begins, ends) in [
        (
            "CSV",
            &b"id,n,text\nitem-000000,0,some words\n"[..],
            &b"item-099999,99999,some words\n"[..],
        ),
        (
            "NDJSON",
            b"{\"id\":\"item-000000\",\"n\":0,",
            b"\"text\":\"some words\"}\n",
        ),
        ("Parquet", b"PAR1", b"PAR1"),
    ] {
        page.press(format).await;
        let bytes = file_in(folder.path());
        assert!(
            bytes.starts_with(begins) && bytes.ends_with(ends),
            "{format}: {}",
            String::from_utf8_lossy(&bytes[..100])
        );
    }
}
