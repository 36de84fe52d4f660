//! Values → bytes, once per dialect.

mod frame;
pub mod json;

pub use frame::{Frame, Opcode};
