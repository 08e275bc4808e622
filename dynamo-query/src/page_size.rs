//! How many items a request may evaluate: as few requests as full pages need, without reading far past the last row.
//!
//! DynamoDB's `Limit` counts items evaluated before the filter, so a job's `limit` is no page size for a selective statement: ten
//! rows a page would cost one round trip per ten items looked at. Nor is a full page: ten rows may lie among the first ten items.

/// The first page of a selective statement evaluates at least this many items.
const FIRST_PAGE: u64 = 1000;

/// Page after page, what the request's `Limit` is to be.
#[derive(Debug)]
pub(crate) struct PageSize {
    /// The most rows of the result; `None`: all.
    limit: Option<u64>,
    /// Whether a page may evaluate more items than it returns.
    selective: bool,
    /// Items evaluated so far, at most: a page that 1 MB ended had fewer.
    evaluated: u64,
    /// What every further page is to be asked with.
    pinned: Option<Option<i32>>,
}

impl PageSize {
    pub(crate) fn new(limit: Option<u64>, selective: bool) -> Self {
        Self {
            limit,
            selective,
            evaluated: 0,
            pinned: None,
        }
    }

    /// Asks for every further page with this `Limit`.
    pub(crate) fn pin(&mut self, limit: Option<i32>) {
        self.pinned = Some(limit);
    }

    /// The next request's `Limit`, where `rows` are there already and the next `to_skip` are not wanted; `None`: a full page.
    pub(crate) fn next(&mut self, rows: u64, to_skip: u64) -> Option<i32> {
        if let Some(pinned) = self.pinned {
            return pinned;
        }
        let limit = self.limit?.saturating_add(to_skip);
        let missing = limit.saturating_sub(rows).max(1);
        let size = if self.selective {
            self.selective_size(limit, missing, rows)
        } else {
            missing
        };
        self.evaluated = self.evaluated.saturating_add(size);
        // A page holds 1 MB; no page has two billion items.
        i32::try_from(size).ok()
    }

    /// What the pages so far suggest, a quarter more for luck; at least as much as all of them (so that sizes double where rows
    /// grow rare), at most three times that (so that at most four times the needed items are evaluated).
    fn selective_size(&self, limit: u64, missing: u64, rows: u64) -> u64 {
        if self.evaluated == 0 {
            return limit.max(FIRST_PAGE);
        }
        let most = self.evaluated.saturating_mul(3);
        if rows == 0 {
            return most;
        }
        let suggested =
            u128::from(missing) * u128::from(self.evaluated) * 5 / (u128::from(rows) * 4);
        u64::try_from(suggested)
            .unwrap_or(u64::MAX)
            .clamp(self.evaluated, most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Items evaluated and requests made until `limit` matches are found, one item in `every` matching, `page` items fitting in 1 MB.
    fn read(limit: u64, every: u64, page: u64) -> (u64, u64) {
        let mut size = PageSize::new(Some(limit), true);
        let (mut at, mut requests, mut rows) = (0, 0, 0);
        while rows < limit {
            let n = size
                .next(rows, 0)
                .map_or(page, |n| u64::try_from(n).unwrap().min(page));
            at += n;
            requests += 1;
            rows = at / every;
        }
        (at, requests)
    }

    #[test]
    fn a_page_without_limit_is_full() {
        assert_eq!(PageSize::new(None, true).next(0, 0), None);
        assert_eq!(PageSize::new(None, false).next(0, 0), None);
    }

    #[test]
    fn a_statement_that_returns_all_it_evaluates_asks_for_just_what_is_missing() {
        let mut size = PageSize::new(Some(5000), false);
        assert_eq!(size.next(0, 0), Some(5000));
        assert_eq!(size.next(3500, 0), Some(1500));
    }

    #[test]
    fn items_evaluated_and_requests_stay_near_the_best_for_every_selectivity() {
        for limit in [1, 10, 100, 1000, 10_000] {
            for every in [1, 2, 10, 100, 1000, 10_000] {
                for page in [250, 1000, 3500, 17_000, 35_000] {
                    let best = limit * every;
                    let (evaluated, requests) = read(limit, every, page);
                    assert!(
                        evaluated <= 4 * best + 1000,
                        "limit {limit}, 1 in {every}, page {page}: {evaluated} evaluated"
                    );
                    assert!(
                        requests <= best.div_ceil(page) + 8,
                        "limit {limit}, 1 in {every}, page {page}: {requests} requests"
                    );
                }
            }
        }
    }

    #[test]
    fn one_match_in_ten_thousand_takes_few_requests() {
        assert!(read(10, 10_000, 17_476).1 <= 12);
    }
}
