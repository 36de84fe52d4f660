//! From a token to a [`Grant`]: who somebody is and what it may do, which is all that the rest sees.
//!
//! Verifying is pure: the time is an argument, keys are what was read last. Only [`fetch`] and
//! [`keep_fresh`] wait and read. No token and no key ever stands in an error, a log line or a `Debug` text.

pub mod audit;
mod grant;
mod jwt;
mod keys;
mod mint;
mod refresh;
mod signature;

#[cfg(test)]
mod tests;

pub use grant::Grant;
pub use jwt::{Ended, Refused, Tokens};
pub use keys::{BadKeys, Keys};
pub use mint::{CannotMint, Mint, mint};
pub use refresh::{fetch, keep_fresh};
