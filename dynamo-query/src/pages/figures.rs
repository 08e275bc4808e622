//! What a job has used so far, and whether its budgets allow more.

use std::time::Duration;

use plugin_api::Error;

use crate::{codes, job::Budget, rate::FIRST_COST};

/// The totals over all answers used.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) pages: u64,
    pub(crate) wire_bytes: u64,
    /// Requests begun, attempts at the same one counted once.
    pub(crate) begun: u64,
    /// `None` once a page did not say.
    pub(crate) items_evaluated: Option<u64>,
    /// Spent waiting for the cluster's rate.
    pub(crate) waited: Duration,
    /// What the last page consumed, if it said so.
    pub(crate) last_cost: f64,
    /// What was reported, in all.
    capacity_units: f64,
    /// Whether every page reported what it consumed.
    is_capacity_known: bool,
}

/// What one answer consumed, as far as it says so.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cost {
    pub(crate) capacity_units: Option<f64>,
    pub(crate) items_evaluated: Option<u64>,
}

/// A budget that allows no further request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum BudgetExceeded {
    Pages(u64),
    CapacityUnits(f64),
}

impl Figures {
    pub(crate) fn new() -> Self {
        Self {
            pages: 0,
            wire_bytes: 0,
            begun: 0,
            items_evaluated: Some(0),
            waited: Duration::ZERO,
            last_cost: FIRST_COST,
            capacity_units: 0.0,
            is_capacity_known: true,
        }
    }

    /// Counts an answered page.
    pub(crate) fn page(&mut self, wire_bytes: u64, cost: Cost) {
        self.pages += 1;
        self.wire_bytes += wire_bytes;
        self.is_capacity_known &= cost.capacity_units.is_some();
        self.consumed(cost.capacity_units);
        self.last_cost = cost.capacity_units.unwrap_or(self.last_cost);
        self.items_evaluated = self
            .items_evaluated
            .zip(cost.items_evaluated)
            .map(|(sum, items)| sum + items);
    }

    /// Counts what a request consumed whose answer is no page.
    pub(crate) fn consumed(&mut self, capacity_units: Option<f64>) {
        self.capacity_units += capacity_units.unwrap_or(0.0);
    }

    /// What all answers have consumed; `None` where a page did not say, or nothing was reported.
    pub(crate) fn capacity_units(&self) -> Option<f64> {
        let is_reported = self.pages > 0 || self.capacity_units > 0.0;
        (self.is_capacity_known && is_reported).then_some(self.capacity_units)
    }

    /// The budget that forbids a further request while `under_way` pages are asked for.
    pub(crate) fn used_up(&self, budget: &Budget, under_way: u64) -> Option<BudgetExceeded> {
        match (budget.max_pages, budget.max_capacity_units) {
            (Some(pages), _) if self.pages + under_way >= pages => {
                Some(BudgetExceeded::Pages(pages))
            }
            (_, Some(units)) if self.capacity_units >= units => {
                Some(BudgetExceeded::CapacityUnits(units))
            }
            _ => None,
        }
    }

    /// The error of a job that would need a further request.
    pub(crate) fn exceeded(&self, used_up: BudgetExceeded) -> Error {
        let which = match used_up {
            BudgetExceeded::Pages(pages) => format!("max_pages of {pages}"),
            BudgetExceeded::CapacityUnits(units) => {
                format!("max_consumed_capacity_units of {units}")
            }
        };
        let consumed = match self.capacity_units() {
            Some(units) => format!("{units} capacity units"),
            None => "an unknown number of capacity units".to_owned(),
        };
        Error::new(
            codes::BUDGET_EXCEEDED,
            format!(
                "{which} is used up: {} consumed {consumed}, and there is more to read",
                self.n_pages()
            ),
        )
        .hint("narrow the statement, raise the budget as far as the command allows, or set on_budget to \"truncate\" and go on with next_token")
    }

    /// The error of a job with a budget of capacity on an endpoint that does not say what it consumes.
    ///
    /// # Errors
    /// `BUDGET_EXCEEDED`.
    pub(crate) fn require_capacity(&self, budget: &Budget) -> Result<(), Error> {
        match budget.max_capacity_units {
            Some(units) if !self.is_capacity_known => Err(Error::new(
                codes::BUDGET_EXCEEDED,
                format!(
                    "max_consumed_capacity_units of {units} cannot be kept: the endpoint does not report what {} consumed",
                    self.n_pages()
                ),
            )
            .hint("use max_pages with this endpoint")),
            _ => Ok(()),
        }
    }

    fn n_pages(&self) -> String {
        match self.pages {
            1 => "1 page".to_owned(),
            pages => format!("{pages} pages"),
        }
    }
}
