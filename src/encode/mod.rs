//! Values → bytes, once per dialect.

mod frame;
pub mod json;
pub mod time;

pub use frame::{Frame, Opcode};
