//! Money: what models cost, what was spent, and how much may be.
//!
//! - [`Prices`] says what a million tokens of each model cost, and from where that is known. An unknown price is no price of
//!   zero: it is said. They are found once (`find_prices`) and stay with a run, written down in its manifest.
//! - [`Ledger`] counts calls and tokens by [`Spender`] and epoch, and holds them against the [`Caps`]. It is asked before a request is
//!   sent; what is in flight is reserved at an upper estimate.
//! - `MeteredBackend` is how a request comes to be asked about: a backend that reserves, asks the one within, and settles. Replies that
//!   a run has kept never come so far, and cost nothing. `MeteredEmbeddings` is the same for vectors.
//! - [`estimate`] says what a project will take before anything is spent.
//!
//! What this does not cover: what a provider bills beside tokens; tokens that an endpoint reports wrongly.

mod address;
mod caps;
mod earlier_runs;
mod estimate;
mod ledger;
mod metered;
mod money;
mod price_table;
mod prices;
mod request_size;
mod spender;
mod spent;
#[cfg(test)]
mod tests;

pub use caps::{BudgetSpent, Cap, Caps, Uncapped};
pub use estimate::{Amount, ESTIMATE_FORMAT, Estimate, Phase, Range, estimate};
pub use ledger::{Ledger, Refusal, Reservation};
pub(crate) use metered::{MeteredBackend, MeteredEmbeddings, Silence};
pub use money::{Money, tokens_text};
pub use price_table::PriceTableError;
pub use prices::{Price, Prices, RolePrice};
pub(crate) use prices::{find_prices, free_though_capped};
pub use spender::Spender;
pub use spent::{RoleSpend, Spent};
